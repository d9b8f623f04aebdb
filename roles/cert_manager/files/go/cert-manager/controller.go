// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	controllers "github.com/cert-manager/cert-manager/pkg/controller"
	// Each registers itself.
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/vault"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	"github.com/cert-manager/cert-manager/pkg/issuer/acme/dns/util"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/vault"
	"github.com/cert-manager/cert-manager/pkg/logs"
)

const workers = 5

type controllerSettings struct {
	controllers.ContextOptions
	election        election
	nameserversOnly bool
	enabled         []string
	metricsAddress  string
	healthAddress   string
}

func controllerComponent(flags *pflag.FlagSet) func(context.Context) error {
	settings := &controllerSettings{ContextOptions: defaultOptions()}
	options := &settings.ContextOptions
	settings.election.addFlags(flags)
	flags.StringVar(&options.Namespace, "namespace", "", "watch this namespace only")
	flags.StringVar(&options.ClusterResourceNamespace, "cluster-resource-namespace", "kube-system", "Secrets of ClusterIssuers")
	flags.StringVar(&options.HTTP01SolverImage, "acme-http01-solver-image", "", "image of the solver's pods")
	flags.StringSliceVar(&options.HTTP01SolverNameservers, "acme-http01-solver-nameservers", nil, "name servers of its self-check")
	flags.IntVar(&options.MaxConcurrentChallenges, "max-concurrent-challenges", 60, "challenges at a time")
	flags.BoolVar(&options.EnableOwnerRef, "enable-certificate-owner-ref", false, "remove Secrets with their Certificates")
	flags.StringSliceVar(&options.DNS01Nameservers, "dns01-recursive-nameservers", nil, "name servers of the DNS self-check")
	flags.BoolVar(&settings.nameserversOnly, "dns01-recursive-nameservers-only", false, "ask no authoritative servers")
	flags.DurationVar(&options.DNS01CheckRetryPeriod, "dns01-check-retry-period", 10*time.Second, "between two DNS self-checks")
	flags.StringVar(&options.DefaultIssuerName, "default-issuer-name", "", "issuer of an Ingress that names none")
	flags.StringVar(&options.DefaultIssuerKind, "default-issuer-kind", "Issuer", "its kind")
	flags.StringVar(&options.DefaultIssuerGroup, "default-issuer-group", "cert-manager.io", "its group")
	flags.StringSliceVar(&settings.enabled, "controllers", []string{"*"}, "'-NAME' turns one off")
	flags.StringVar(&settings.metricsAddress, "metrics-listen-address", "0.0.0.0:9402", "address of the metrics")
	flags.StringVar(&settings.healthAddress, "healthz-listen-address", "0.0.0.0:9403", "address of the liveness probe")
	return settings.run
}

// defaultOptions are upstream's, where its chart passes nothing.
func defaultOptions() controllers.ContextOptions {
	options := controllers.ContextOptions{KubernetesAPIQPS: 20, KubernetesAPIBurst: 50}
	options.ClusterIssuerAmbientCredentials = true
	options.ACMEHTTP01SolverRunAsNonRoot = true
	options.HTTP01SolverResourceRequestCPU = resource.MustParse("10m")
	options.HTTP01SolverResourceRequestMemory = resource.MustParse("64Mi")
	options.HTTP01SolverResourceLimitsCPU = resource.MustParse("100m")
	options.HTTP01SolverResourceLimitsMemory = resource.MustParse("64Mi")
	options.DefaultAutoCertificateAnnotations = []string{"kubernetes.io/tls-acme"}
	options.CopiedAnnotationPrefixes = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	options.CertificateRequestMinimumBackoffDuration = time.Hour
	// The release before, with which this file is compiled as well, has no such field.
	if longest := reflect.ValueOf(&options.CertificateOptions).Elem().FieldByName("CertificateRequestMaximumBackoffDuration"); longest.IsValid() {
		longest.SetInt(int64(32 * time.Hour))
	}
	return options
}

func (s *controllerSettings) run(ctx context.Context) error {
	s.DNS01CheckAuthoritative = !s.nameserversOnly
	if len(s.DNS01Nameservers) == 0 {
		s.DNS01Nameservers = util.RecursiveNameservers
	}
	factory, err := controllers.NewContextFactory(ctx, s.ContextOptions)
	if err != nil {
		return err
	}
	root, err := factory.Build()
	if err != nil {
		return err
	}
	health := healthz.NewServer(20 * time.Second)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHealth(ctx, health, s.healthAddress) })
	group.Go(func() error { return serveMetrics(ctx, root, s.metricsAddress) })
	elected, elector, err := s.elector(ctx, root, health.LeaderHealthzAdaptor)
	if err != nil {
		return err
	}
	// Waited for like the others: at the end it gives the lease back, so that nobody has to wait for it to expire.
	group.Go(func() error {
		elector(ctx)
		return nil
	})
	group.Go(func() error {
		select {
		case <-elected:
			return s.control(ctx, factory, root)
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

// elector returns what tells that this process is the leader, and what to run for it. Losing the lead ends the process.
func (s *controllerSettings) elector(
	ctx context.Context, root *controllers.Context, watchdog *leaderelection.HealthzAdaptor,
) (<-chan struct{}, func(context.Context), error) {
	elected := make(chan struct{})
	if !s.election.enabled {
		close(elected)
		return elected, func(context.Context) {}, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, err
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "-external-cert-manager-controller", EventRecorder: root.Recorder}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, s.election.namespace, "cert-manager-controller",
		root.Client.CoreV1(), root.Client.CoordinationV1(), identity)
	if err != nil {
		return nil, nil, err
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   s.election.leaseDuration,
		RenewDeadline:   s.election.renewDeadline,
		RetryPeriod:     s.election.retryPeriod,
		ReleaseOnCancel: true,
		WatchDog:        watchdog,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) },
			OnStoppedLeading: func() {
				if ctx.Err() == nil {
					logs.FromContext(ctx).Error(nil, "leader election lost")
					logs.FlushLogs()
					os.Exit(1)
				}
			},
		},
	})
	if err != nil {
		return nil, nil, err
	}
	return elected, elector.Run, nil
}

// control runs every registered controller that is not turned off, until the context ends.
func (s *controllerSettings) control(ctx context.Context, factory *controllers.ContextFactory, root *controllers.Context) error {
	off := map[string]bool{}
	for _, name := range s.enabled {
		off[name] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, construct := range controllers.Known() {
		if off["-"+name] || (s.Namespace != "" && name == "clusterissuers") {
			continue
		}
		controller, err := construct(factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		group.Go(func() error { return controller.Run(workers, ctx) })
	}
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}

func serveHealth(ctx context.Context, server *healthz.Server, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return server.Start(ctx, listener)
}

func serveMetrics(ctx context.Context, root *controllers.Context, address string) error {
	if address == "0" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := root.Metrics.NewServer(listener)
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
