// CoreDNS with the plugins that this cluster's Corefile names, and no cloud's libraries.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	// Queries pass the plugins in this order, whatever the order in the Corefile.
	dnsserver.Directives = []string{"bind", "health", "errors", "cache", "hosts", "kubernetes", "forward"}
	coremain.Run()
}
