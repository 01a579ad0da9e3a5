package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	httpClients "github.com/edgexfoundry/go-mod-core-contracts/v4/clients/http"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/clients/interfaces"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/responses"
	messaging "github.com/edgexfoundry/go-mod-messaging/v4/clients"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
	"github.com/fxamacker/cbor/v2"
)

const commandTimeout = 10 * time.Second

func (p *proof) commandsByHTTP(device string) {
	client := httpClients.NewCommandClient(p.urls.command, noAuthentication{}, true)
	known := must(client.AllDeviceCoreCommands(ctx(), 0, -1))
	listed(known.DeviceCoreCommands, device)
	listed(known.DeviceCoreCommands, p.strange())
	p.commands(client, device)
	isPicture(p.binary(device, "Picture").Event)
	refused(client.IssueGetCommandByName(ctx(), "no-"+device, "Climate", false, true)).with(http.StatusNotFound)
	refused(client.IssueGetCommandByName(ctx(), device, "NoSuchCommand", false, true)).with(http.StatusNotFound)
	refused(client.IssueSetCommandByName(ctx(), device, "Counter", map[string]any{"Counter": "1"})).with(http.StatusMethodNotAllowed)
	refused(client.IssueGetCommandByName(ctx(), device, "Broken", false, true)).with(http.StatusInternalServerError)
	refused(client.IssueGetCommandByName(ctx(), p.strange(), "Heat", false, true)).with(http.StatusServiceUnavailable)
	refused(client.DeviceCoreCommandsByDeviceName(ctx(), "no-"+device)).with(http.StatusNotFound)
}

func isPicture(event dtos.Event) {
	equal("readings", len(event.Readings), 1)
	picture := event.Readings[0]
	equal("value", []any{picture.ValueType, picture.BinaryValue, picture.MediaType}, []any{"Binary", []byte{0x89, 'P', 'N', 'G', 0, 1, 2, 3}, "image/png"})
}

// binary asks without this release's client, which cannot read that binary readings come as CBOR.
func (p *proof) binary(device, command string) (answer responses.EventResponse) {
	response := sure(http.Get(p.urls.command + "/api/v3/device/name/" + device + "/" + command + "?ds-returnevent=true"))
	defer func() { _ = response.Body.Close() }()
	equal("content type", response.Header.Get(common.ContentType), common.ContentTypeCBOR)
	fine(cbor.Unmarshal(sure(io.ReadAll(response.Body)), &answer))
	return answer
}

func listed(commands []dtos.DeviceCoreCommand, device string) {
	for _, command := range commands {
		if command.DeviceName == device {
			holds("there are commands of "+device, len(command.CoreCommands) > 0)
			return
		}
	}
	fail("no commands of %s are listed", device)
}

func (p *proof) commandsByBus(device string) {
	client := messaging.NewCommandClient(p.bus.MessageClient, common.DefaultBaseTopic, commandTimeout)
	p.commands(client, device)
	isPicture(must(client.IssueGetCommandByName(ctx(), device, "Picture", false, true)).Event)
	_, err := client.IssueGetCommandByName(ctx(), "no-"+device, "Climate", false, true)
	holds("an unknown device is told, not timed out", err != nil && !strings.Contains(err.Error(), "timed out"))
	_, err = client.IssueGetCommandByName(ctx(), device, "Broken", false, true)
	holds("a failure is told, not timed out", err != nil && !strings.Contains(err.Error(), "timed out"))

	escaping := messaging.NewCommandClientWithNameFieldEscape(p.bus.MessageClient, common.DefaultBaseTopic, commandTimeout)
	equal("device, by an escaped topic", must(escaping.IssueGetCommandByName(ctx(), device, "Climate", false, true)).Event.DeviceName, device)

	// AllDeviceCoreCommands of this release's client sends to a wrong topic: here is the request that it means.
	request := types.NewMessageEnvelopeForRequest(nil, map[string]string{common.Offset: "0", common.Limit: "-1"})
	answer := sure(p.bus.Request(request, "edgex/core/commandquery/request/all", "edgex/response/core-command", commandTimeout))
	all := sure(types.GetMsgPayload[responses.MultiDeviceCoreCommandsResponse](*answer))
	listed(all.DeviceCoreCommands, device)
	holds("they are counted", int(all.TotalCount) == len(all.DeviceCoreCommands))
}

// commands does by either client what a user of device-room would.
func (p *proof) commands(client interfaces.CommandClient, device string) {
	about := must(client.DeviceCoreCommandsByDeviceName(ctx(), device)).DeviceCoreCommand
	equal("device and profile", []string{about.DeviceName, about.ProfileName}, []string{device, "Room"})
	byName := map[string]dtos.CoreCommand{}
	for _, command := range about.CoreCommands {
		byName[command.Name] = command
	}
	climate, setpoint := byName["Climate"], byName["Setpoint"]
	equal("Climate may be read only", []any{climate.Get, climate.Set}, []bool{true, false})
	equal("Setpoint may be read and set", []any{setpoint.Get, setpoint.Set}, []bool{true, true})
	equal("what Climate has", climate.Parameters, []dtos.CoreCommandParameter{
		{ResourceName: "Temperature", ValueType: common.ValueTypeFloat64}, {ResourceName: "Setpoint", ValueType: common.ValueTypeFloat64},
	})
	holds("it says where", strings.HasSuffix(climate.Path, "/device/name/"+device+"/Climate") && climate.Url != "")

	must(client.IssueSetCommandByName(ctx(), device, "Setpoint", map[string]any{"Setpoint": "23.5"}))
	event := must(client.IssueGetCommandByName(ctx(), device, "Climate", false, true)).Event
	equal("event", []any{event.DeviceName, event.ProfileName, event.SourceName, len(event.Readings)}, []any{device, "Room", "Climate", 2})
	equal("temperature", float(event.Readings[0]), 21.5)
	equal("what was set", float(event.Readings[1]), 23.5)
	equal("units", event.Readings[1].Units, "Celsius")
	must(client.IssueSetCommandByName(ctx(), device, "Settings", map[string]any{"Settings": map[string]any{"mode": "off"}}))
	settings := must(client.IssueGetCommandByName(ctx(), device, "Settings", false, true)).Event
	equal("an object that was set", settings.Readings[0].ObjectValue, map[string]any{"mode": "off"})

	pushed := must(client.IssueGetCommandByName(ctx(), device, "Climate", true, true)).Event
	eventually("a pushed event is stored", func() bool { return p.has(device, pushed) })
	holds("one that was not is not", !p.has(device, event))
	before := time.Now().UnixNano()
	must(client.IssueGetCommandByName(ctx(), device, "Climate", true, false))
	eventually("an event may be pushed and not returned", func() bool {
		for _, found := range must(p.events.EventsByTimeRange(ctx(), before, time.Now().UnixNano(), 0, -1)).Events {
			if found.DeviceName == device && found.SourceName == "Climate" {
				return true
			}
		}
		return false
	})
}

// blur is how far EdgeX's messaging client moves an origin, because it reads numbers of a payload as float64.
const blur = int64(512)

// has tells whether core-data has an event that a command returned.
func (p *proof) has(device string, event dtos.Event) bool {
	for _, found := range must(p.events.EventsByTimeRange(ctx(), event.Origin-blur, event.Origin+blur, 0, -1)).Events {
		if found.Id == event.Id && found.DeviceName == device {
			for i := range found.Readings {
				equal("value", found.Readings[i].Value, event.Readings[i].Value)
			}
			return true
		}
	}
	return false
}

func float(reading dtos.BaseReading) float64 {
	return sure(strconv.ParseFloat(reading.Value, 64))
}
