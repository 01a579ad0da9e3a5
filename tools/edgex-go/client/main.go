// edgex-client uses our core services by EdgeX's published Go clients, as an application service or a test suite would,
// and compares every answer. It ends with code 1 at the first one that is not as it should be.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"

	clients "github.com/edgexfoundry/go-mod-core-contracts/v4/clients/http"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/clients/interfaces"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/google/uuid"
)

// noAuthentication is what EdgeX's clients ask for where there is no secret store.
type noAuthentication struct{}

func (noAuthentication) AddAuthenticationData(*http.Request) error { return nil }
func (noAuthentication) RoundTripper() http.RoundTripper           { return nil }

type urls struct{ data, metadata, command, keeper, mqtt string }

// proof holds the clients under test; names are unique, so that it may run again on the same store.
type proof struct {
	urls     urls
	bus      *bus
	run      string
	profiles interfaces.DeviceProfileClient
	services interfaces.DeviceServiceClient
	devices  interfaces.DeviceClient
	watchers interfaces.ProvisionWatcherClient
	events   interfaces.EventClient
	readings interfaces.ReadingClient
	keys     interfaces.KVSClient
	registry interfaces.RegistryClient
}

func newProof(where urls) *proof {
	none := noAuthentication{}
	return &proof{
		urls:     where,
		bus:      connect(where.mqtt),
		run:      strings.Split(uuid.NewString(), "-")[0],
		profiles: clients.NewDeviceProfileClient(where.metadata, none, true),
		services: clients.NewDeviceServiceClient(where.metadata, none, true),
		devices:  clients.NewDeviceClient(where.metadata, none, true),
		watchers: clients.NewProvisionWatcherClient(where.metadata, none, true),
		events:   clients.NewEventClient(where.data, none, true),
		readings: clients.NewReadingClient(where.data, none, true),
		keys:     clients.NewKVSClient(where.keeper, none),
		registry: clients.NewRegistryClient(where.keeper, none, true),
	}
}

// ctx gives each request a correlation id of its own.
func ctx() context.Context {
	return context.WithValue(context.Background(), common.CorrelationHeader, uuid.NewString()) //nolint:staticcheck
}

func (p *proof) commonRoutes() {
	for name, url := range map[string]string{
		"core-data": p.urls.data, "core-metadata": p.urls.metadata,
		"core-command": p.urls.command, "core-keeper": p.urls.keeper,
	} {
		client := clients.NewCommonClient(url, noAuthentication{})
		ping := must(client.Ping(ctx()))
		equal("service", ping.ServiceName, name)
		equal("API version", ping.ApiVersion, common.ApiVersion)
		equal("service", must(client.Version(ctx())).ServiceName, name)
		configuration := must(client.Configuration(ctx()))
		equal("service", configuration.ServiceName, name)
		holds(name+" shows its configuration", configuration.Config != nil)
	}
}

func main() {
	var where urls
	flag.StringVar(&where.data, "data", "http://localhost:59880", "core-data")
	flag.StringVar(&where.metadata, "metadata", "http://localhost:59881", "core-metadata")
	flag.StringVar(&where.command, "command", "http://localhost:59882", "core-command")
	flag.StringVar(&where.keeper, "keeper", "http://localhost:59890", "core-keeper")
	flag.StringVar(&where.mqtt, "mqtt", "localhost:1883", "message broker")
	device := flag.String("device", "Room-01", "a device of device-room, to send commands to")
	flag.Parse()

	p := newProof(where)
	parts := []struct {
		name string
		run  func()
	}{
		{"ping, version, config", p.commonRoutes},
		{"metadata", p.metadata},
		{"events and readings by HTTP", p.dataByHTTP},
		{"events by MQTT", p.dataByBus},
		{"commands by HTTP", func() { p.commandsByHTTP(*device) }},
		{"commands by MQTT", func() { p.commandsByBus(*device) }},
		{"configuration and registry", p.keeper},
		{"taking away", p.takeAway},
	}
	for _, part := range parts {
		before := checks.Load()
		part.run()
		fmt.Fprintf(os.Stderr, "ok %s (%d checks)\n", part.name, checks.Load()-before)
	}
	fmt.Printf("%d checks\n", checks.Load())
}

func contextWith(key, value string) context.Context {
	return context.WithValue(ctx(), key, value) //nolint:staticcheck
}
