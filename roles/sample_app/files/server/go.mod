module slipway.gitops/sample

go 1.21
