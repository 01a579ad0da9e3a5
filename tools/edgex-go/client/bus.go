package main

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-messaging/v4/messaging"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
	"github.com/google/uuid"
)

// bus is EdgeX's messaging client, with what it has heard.
type bus struct {
	messaging.MessageClient
	mutex     sync.Mutex
	changes   []dtos.SystemEvent
	validated []string
	published map[string]string // topic by event id
}

func connect(address string) *bus {
	host, portText, err := net.SplitHostPort(address)
	fine(err)
	port, err := strconv.Atoi(portText)
	fine(err)
	client, err := messaging.NewMessageClient(types.MessageBusConfig{
		Broker:   types.HostInfo{Host: host, Port: port, Protocol: "tcp"},
		Type:     messaging.MQTT,
		Optional: map[string]string{"ClientId": "edgex-client-" + uuid.NewString(), "Qos": "0", "AutoReconnect": "true", "ConnectTimeout": "5"},
	})
	fine(err)
	fine(client.Connect())
	return &bus{MessageClient: client, published: map[string]string{}}
}

func (b *bus) hear(topic string, each func(types.MessageEnvelope)) {
	messages := make(chan types.MessageEnvelope, 256)
	errs := make(chan error, 16)
	fine(b.Subscribe([]types.TopicChannel{{Topic: topic, Messages: messages}}, errs))
	go func() {
		for {
			select {
			case err := <-errs:
				fail("%s: %s", topic, err.Error())
			case message := <-messages:
				b.mutex.Lock()
				each(message)
				b.mutex.Unlock()
			}
		}
	}()
}

// hearChanges keeps what core-metadata tells of changes.
func (b *bus) hearChanges() {
	b.hear("edgex/system-events/core-metadata/#", func(message types.MessageEnvelope) {
		change, err := types.GetMsgPayload[dtos.SystemEvent](message)
		fine(err)
		b.changes = append(b.changes, change)
	})
}

// hearEvents keeps under which topic core-data passes on what it was given by HTTP.
func (b *bus) hearEvents() {
	b.hear("edgex/events/core/#", func(message types.MessageEnvelope) {
		request, err := types.GetMsgPayload[requests.AddEventRequest](message)
		fine(err)
		b.published[request.Event.Id] = message.ReceivedTopic
	})
}

func (b *bus) topicOf(id string) string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.published[id]
}

// heard tells whether such a change of an entity with this name was told.
func (b *bus) heard(kind, action, owner, name string) func() bool {
	return func() bool {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		for _, change := range b.changes {
			var details struct{ Name string }
			if change.Type == kind && change.Action == action && change.Owner == owner &&
				change.DecodeDetails(&details) == nil && details.Name == name {
				return true
			}
		}
		return false
	}
}

// validate answers as a device service does: devices with the label `refuse` are refused.
func (b *bus) validate(service string) {
	b.hear(common.BuildTopic("edgex", service, "validate/device"), func(message types.MessageEnvelope) {
		request, err := types.GetMsgPayload[requests.AddDeviceRequest](message)
		fine(err)
		b.validated = append(b.validated, request.Device.Name)
		answer, err := types.NewMessageEnvelopeForResponse(nil, message.RequestID, message.CorrelationID, common.ContentTypeJSON)
		fine(err)
		if strings.Contains(strings.Join(request.Device.Labels, " "), "refuse") {
			answer = types.NewMessageEnvelopeWithError(message.RequestID, "this device is not wanted")
		}
		fine(b.Publish(answer, common.BuildTopic("edgex/response", service, message.RequestID)))
	})
}

func (b *bus) asked(device string) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return slices.Contains(b.validated, device)
}
