// SPDX-License-Identifier: GPL-3.0-or-later

// Upstream's controllers of cert-manager under our own main. Upstream's own programs are
// modules of their own that are not published; what they start is. One program is all four:
// the first argument says which. It knows the options that upstream's chart passes and
// refuses any other. Left out are the issuer of Venafi, whose client is not published in the
// version that is needed, and the experimental controllers, which are off by default.
//
// The module's path lies under upstream's, because some of its packages are internal.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
)

// component is one of upstream's programs: it adds its options and returns what runs it.
type component func(flags *pflag.FlagSet) func(context.Context) error

var components = map[string]component{
	"controller": controllerComponent,
	"cainjector": cainjectorComponent,
	"webhook":    webhookComponent,
	"acmesolver": acmesolverComponent,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 0 && arguments[0] == "--version" {
		fmt.Println("cert-manager " + util.AppVersion + ", upstream's controllers under our own main")
		return nil
	}
	if len(arguments) == 0 || components[arguments[0]] == nil {
		return fmt.Errorf("usage: cert-manager --version | controller | cainjector | webhook | acmesolver [OPTION...]")
	}
	flags := pflag.NewFlagSet(arguments[0], pflag.ContinueOnError)
	start := components[arguments[0]](flags)
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	logs.InitLogs()
	defer logs.FlushLogs()
	return start(logs.NewContext(ctx, logs.Log, arguments[0]))
}
