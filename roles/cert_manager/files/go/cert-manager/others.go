// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	corev1 "k8s.io/api/core/v1"

	"github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/scheme"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
	webhookoptions "github.com/cert-manager/cert-manager/pkg/webhook/options"
)

// election holds the options of a leader election. The defaults are upstream's.
type election struct {
	enabled                                   bool
	namespace                                 string
	leaseDuration, renewDeadline, retryPeriod time.Duration
}

func (e *election) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&e.enabled, "leader-elect", true, "let only one of several processes work")
	flags.StringVar(&e.namespace, "leader-election-namespace", "kube-system", "namespace of the lease")
	flags.DurationVar(&e.leaseDuration, "leader-election-lease-duration", 60*time.Second, "until others take over")
	flags.DurationVar(&e.renewDeadline, "leader-election-renew-deadline", 40*time.Second, "until the leader gives up")
	flags.DurationVar(&e.retryPeriod, "leader-election-retry-period", 15*time.Second, "between two attempts")
	flags.IntP("v", "v", 2, "accepted and not used: this program logs at one level")
}

func cainjectorComponent(flags *pflag.FlagSet) func(context.Context) error {
	settings := election{}
	settings.addFlags(flags)
	return func(ctx context.Context) error { return inject(ctx, settings) }
}

func inject(ctx context.Context, settings election) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetes.AddToScheme, scheme.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme,
	} {
		if err := add(known); err != nil {
			return err
		}
	}
	ctrl.SetLogger(logs.FromContext(ctx))
	manager, err := ctrl.NewManager(util.RestConfigWithUserAgent(config, "cainjector"), ctrl.Options{
		Scheme: known,
		// Secrets are read when they are needed, so that not every Secret of a cluster is kept.
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		LeaderElection:                settings.enabled,
		LeaderElectionNamespace:       settings.namespace,
		LeaderElectionID:              "cert-manager-cainjector-leader-election",
		LeaderElectionReleaseOnCancel: true,
		LeaderElectionResourceLock:    resourcelock.LeasesResourceLock,
		LeaseDuration:                 &settings.leaseDuration,
		RenewDeadline:                 &settings.renewDeadline,
		RetryPeriod:                   &settings.retryPeriod,
		Metrics:                       metrics.Options{BindAddress: "0.0.0.0:9402"},
	})
	if err != nil {
		return err
	}
	if err := cainjector.RegisterAllInjectors(ctx, manager, cainjector.SetupOptions{
		EnableCertificatesDataSource: true,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   true,
			cainjector.ValidatingWebhookConfigurationName: true,
			cainjector.APIServiceName:                     true,
			cainjector.CustomResourceDefinitionName:       true,
		},
	}); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func webhookComponent(flags *pflag.FlagSet) func(context.Context) error {
	settings, err := webhookoptions.NewWebhookConfiguration()
	if err != nil {
		return func(context.Context) error { return err }
	}
	webhookoptions.AddConfigFlags(flags, settings)
	return func(ctx context.Context) error {
		server, err := webhook.NewCertManagerWebhookServer(logs.FromContext(ctx), *settings)
		if err != nil {
			return err
		}
		return server.Run(ctx)
	}
}

func acmesolverComponent(flags *pflag.FlagSet) func(context.Context) error {
	server := &solver.HTTP01Solver{}
	flags.IntVar(&server.ListenPort, "listen-port", 8089, "port to answer challenges on")
	flags.StringVar(&server.Domain, "domain", "", "name that is to be proved")
	flags.StringVar(&server.Token, "token", "", "token of the challenge")
	flags.StringVar(&server.Key, "key", "", "answer to the challenge")
	return func(ctx context.Context) error {
		go func() {
			<-ctx.Done()
			_ = server.Close()
		}()
		err := server.Listen(logs.FromContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
}
