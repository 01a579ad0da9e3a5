package main

import (
	"net/http"
	"os"
	"path/filepath"

	clients "github.com/edgexfoundry/go-mod-core-contracts/v4/clients/http"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	dtoCommon "github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/responses"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/errors"
)

func (p *proof) service() string { return "service-" + p.run }
func (p *proof) profile() string { return "profile-" + p.run }
func (p *proof) device() string  { return "device-" + p.run }

// strange is a name that EdgeX allows only because clients escape it.
func (p *proof) strange() string { return "Gerät 7/α+" + p.run }

func (p *proof) metadata() {
	p.bus.hearChanges()
	p.bus.validate(p.service())
	p.addService()
	p.addProfile()
	p.changeProfile()
	p.uploadProfile()
	p.addDevices()
	p.changeDevices()
	p.askForDevices()
	p.watch()
}

// one is the only item of a multi-status answer, with the status it must have.
func one(items []dtoCommon.BaseWithIdResponse, code int) string {
	equal("number of answers", len(items), 1)
	equal("status of the item ("+items[0].Message+")", items[0].StatusCode, code)
	return items[0].Id
}

func changed(items []dtoCommon.BaseResponse, code int) {
	equal("number of answers", len(items), 1)
	equal("status of the item ("+items[0].Message+")", items[0].StatusCode, code)
}

func (p *proof) addService() {
	service := dtos.DeviceService{
		Name: p.service(), BaseAddress: "http://127.0.0.1:9", AdminState: "UNLOCKED", Labels: []string{p.run, "proof"},
		Description: "a service that nobody runs", Properties: map[string]any{"floor": 1, "nested": map[string]any{"a": []int{1}}},
	}
	add := []requests.AddDeviceServiceRequest{requests.NewAddDeviceServiceRequest(service)}
	id := one(must(p.services.Add(ctx(), add)), http.StatusCreated)
	one(must(p.services.Add(ctx(), add)), http.StatusConflict)
	found := must(p.services.DeviceServiceByName(ctx(), p.service())).Service
	equal("id", found.Id, id)
	equal("base address", found.BaseAddress, service.BaseAddress)
	equal("properties", found.Properties, service.Properties)
	holds("it tells when it was made", found.Created > 0 && found.Modified >= found.Created)
	name, state := p.service(), "LOCKED"
	update := requests.NewUpdateDeviceServiceRequest(dtos.UpdateDeviceService{Name: &name, AdminState: &state})
	changed(must(p.services.Update(ctx(), []requests.UpdateDeviceServiceRequest{update})), http.StatusOK)
	equal("admin state", must(p.services.DeviceServiceByName(ctx(), name)).Service.AdminState, state)
	state = "UNLOCKED"
	changed(must(p.services.Update(ctx(), []requests.UpdateDeviceServiceRequest{update})), http.StatusOK)
	all := must(p.services.AllDeviceServices(ctx(), []string{p.run}, 0, 10))
	equal("services with the label", []any{all.TotalCount, len(all.Services)}, []int{1, 1})
	refused(p.services.DeviceServiceByName(ctx(), "no-"+p.service())).with(http.StatusNotFound)
	eventually("the change of a service is told", p.bus.heard("deviceservice", "update", name, name))
}

func number(value float64) *float64 { return &value }

func resource(name, valueType string) dtos.DeviceResource {
	return dtos.DeviceResource{
		Name:       name,
		Properties: dtos.ResourceProperties{ValueType: valueType, ReadWrite: "RW"},
		Attributes: map[string]any{"register": 7},
		Tags:       map[string]any{"of": name},
	}
}

func (p *proof) roomProfile(name string) dtos.DeviceProfile {
	heat := resource("Heat", "Float64")
	heat.Properties.Minimum, heat.Properties.Maximum = number(-1.5), number(99)
	image := resource("Image", "Binary")
	image.Properties.ReadWrite, image.Properties.MediaType = "R", "image/png"
	return dtos.DeviceProfile{
		DeviceProfileBasicInfo: dtos.DeviceProfileBasicInfo{
			Name: name, Manufacturer: "Maker " + p.run, Model: "Model " + p.run, Labels: []string{p.run},
		},
		DeviceResources: []dtos.DeviceResource{
			heat, resource("Count", "Uint64"), image, resource("Plan", "Object"), resource("List", "Int32Array"),
		},
		DeviceCommands: []dtos.DeviceCommand{{
			Name: "Both", ReadWrite: "RW",
			ResourceOperations: []dtos.ResourceOperation{
				{DeviceResource: "Heat", DefaultValue: "20"},
				{DeviceResource: "Count", Mappings: map[string]string{"1": "one"}},
			},
		}},
	}
}

// resource asks anew: EdgeX's client remembers resources that it has been told of.
func (p *proof) resource(profile, name string) (responses.DeviceResourceResponse, errors.EdgeX) {
	fresh := clients.NewDeviceProfileClient(p.urls.metadata, noAuthentication{}, true)
	return fresh.DeviceResourceByProfileNameAndResourceName(ctx(), profile, name)
}

func (p *proof) addProfile() {
	profile := p.roomProfile(p.profile())
	add := []requests.DeviceProfileRequest{requests.NewDeviceProfileRequest(profile)}
	one(must(p.profiles.Add(ctx(), add)), http.StatusCreated)
	one(must(p.profiles.Add(ctx(), add)), http.StatusConflict)
	found := must(p.profiles.DeviceProfileByName(ctx(), p.profile())).Profile
	equal("resources", found.DeviceResources, profile.DeviceResources)
	equal("commands", found.DeviceCommands, profile.DeviceCommands)
	heat := must(p.resource(p.profile(), "Heat")).Resource
	equal("minimum", *heat.Properties.Minimum, -1.5)
	byMaker := must(p.profiles.DeviceProfilesByManufacturer(ctx(), profile.Manufacturer, 0, -1))
	equal("profiles of the maker", []any{byMaker.TotalCount, byMaker.Profiles[0].Name}, []any{1, p.profile()})
	equal("profiles of the model", must(p.profiles.DeviceProfilesByModel(ctx(), profile.Model, 0, -1)).TotalCount, 1)
	both := must(p.profiles.DeviceProfilesByManufacturerAndModel(ctx(), profile.Manufacturer, profile.Model, 0, -1))
	equal("profiles of both", both.TotalCount, 1)
	basic := must(p.profiles.AllDeviceProfileBasicInfos(ctx(), []string{p.run}, 0, -1))
	equal("basic information", []any{basic.TotalCount, basic.Profiles[0].Model}, []any{1, profile.Model})
	refused(p.profiles.DeviceProfileByName(ctx(), "no-"+p.profile())).with(http.StatusNotFound)
	eventually("a new profile is told", p.bus.heard("deviceprofile", "add", "core-metadata", p.profile()))
}

func (p *proof) changeProfile() {
	changed(must(p.profiles.AddDeviceProfileResource(ctx(), []requests.AddDeviceResourceRequest{{
		BaseRequest: dtoCommon.NewBaseRequest(), ProfileName: p.profile(), Resource: resource("Spare", "Bool"),
	}})), http.StatusCreated)
	command := dtos.DeviceCommand{Name: "Spares", ReadWrite: "R", ResourceOperations: []dtos.ResourceOperation{{DeviceResource: "Spare"}}}
	changed(must(p.profiles.AddDeviceProfileDeviceCommand(ctx(), []requests.AddDeviceCommandRequest{{
		BaseRequest: dtoCommon.NewBaseRequest(), ProfileName: p.profile(), DeviceCommand: command,
	}})), http.StatusCreated)
	equal("type", must(p.resource(p.profile(), "Spare")).Resource.Properties.ValueType, "Bool")
	must(p.profiles.DeleteDeviceCommandByName(ctx(), p.profile(), "Spares"))
	must(p.profiles.DeleteDeviceResourceByName(ctx(), p.profile(), "Spare"))
	refused(p.resource(p.profile(), "Spare")).with(http.StatusNotFound)
	name, text := p.profile(), "changed"
	changed(must(p.profiles.UpdateDeviceProfileBasicInfo(ctx(), []requests.DeviceProfileBasicInfoRequest{{
		BaseRequest: dtoCommon.NewBaseRequest(), BasicInfo: dtos.UpdateDeviceProfileBasicInfo{Name: &name, Description: &text},
	}})), http.StatusOK)
	equal("description", must(p.profiles.DeviceProfileByName(ctx(), name)).Profile.Description, text)
}

func (p *proof) uploadProfile() {
	name := "yaml-" + p.run
	file := filepath.Join(sure(os.MkdirTemp("", "edgex-client")), "profile.yaml")
	defer func() { _ = os.RemoveAll(filepath.Dir(file)) }()
	text := "apiVersion: v3\nname: " + name + "\nlabels: [" + p.run + "-yaml]\ndeviceResources:\n" +
		"  - name: Level\n    properties: { valueType: uint8, readWrite: R, maximum: 10 }\n"
	fine(os.WriteFile(file, []byte(text), 0o600))
	answer := must(p.profiles.AddByYaml(ctx(), file))
	equal("status", answer.StatusCode, http.StatusCreated)
	level := must(p.resource(name, "Level")).Resource
	equal("value type, as EdgeX spells it", level.Properties.ValueType, "Uint8")
	fine(os.WriteFile(file, []byte(text+"    description: how full\n"), 0o600))
	must(p.profiles.UpdateByYaml(ctx(), file))
	equal("description", must(p.resource(name, "Level")).Resource.Description, "how full")
	refused(p.profiles.AddByYaml(ctx(), file)).with(http.StatusConflict)
	fine(os.WriteFile(file, []byte("name: [\n"), 0o600))
	refused(p.profiles.AddByYaml(ctx(), file)).with(http.StatusBadRequest)
	must(p.profiles.DeleteByName(ctx(), name))
}

func (p *proof) room(name string) dtos.Device {
	return dtos.Device{
		Name: name, ServiceName: p.service(), ProfileName: p.profile(), AdminState: "UNLOCKED", OperatingState: "UP",
		Labels: []string{p.run}, Protocols: map[string]dtos.ProtocolProperties{"modbus": {"unit": 1, "host": "10.0.0.1"}},
		AutoEvents: []dtos.AutoEvent{{Interval: "1s", SourceName: "Heat", OnChangeThreshold: 0.5}},
		Tags:       map[string]any{"wing": "west"}, Properties: map[string]any{"deep": map[string]any{"er": true}}, Location: map[string]any{"x": 1.5},
	}
}

func (p *proof) addDevice(device dtos.Device) []dtoCommon.BaseWithIdResponse {
	return must(p.devices.Add(ctx(), []requests.AddDeviceRequest{requests.NewAddDeviceRequest(device)}))
}

func (p *proof) addDevices() {
	first := p.room(p.device())
	one(p.addDevice(first), http.StatusCreated)
	one(p.addDevice(first), http.StatusConflict)
	found := must(p.devices.DeviceByName(ctx(), p.device())).Device
	equal("protocols", found.Protocols, first.Protocols)
	equal("auto events", found.AutoEvents, first.AutoEvents)
	equal("tags, properties, location", []any{found.Tags, found.Properties, found.Location}, []any{first.Tags, first.Properties, first.Location})
	strange := p.room(p.strange())
	strange.Parent = p.device()
	one(p.addDevice(strange), http.StatusCreated)
	equal("name", must(p.devices.DeviceByName(ctx(), p.strange())).Device.Name, p.strange())
	must(p.devices.DeviceNameExists(ctx(), p.strange()))
	eventually("a new device is told", p.bus.heard("device", "add", p.service(), p.strange()))
	holds("its service was asked", p.bus.asked(p.strange()))
	unwanted := p.room("unwanted-" + p.run)
	unwanted.Labels = []string{"refuse"}
	items := p.addDevice(unwanted)
	holds("its service may refuse a device", items[0].StatusCode >= 400)
	refused(p.devices.DeviceByName(ctx(), unwanted.Name)).with(http.StatusNotFound)
	orphan := p.room("orphan-" + p.run)
	orphan.ProfileName = "no-" + p.profile()
	one(p.addDevice(orphan), http.StatusBadRequest)
	orphan = p.room("orphan-" + p.run)
	orphan.ServiceName = "no-" + p.service()
	one(p.addDevice(orphan), http.StatusBadRequest)
	refused(p.profiles.DeleteByName(ctx(), p.profile())).with(http.StatusConflict)
	refused(p.services.DeleteByName(ctx(), p.service())).with(http.StatusConflict)
}

func (p *proof) changeDevices() {
	name, state, nobody := p.device(), "DOWN", "nobody-"+p.run
	updates := []requests.UpdateDeviceRequest{
		requests.NewUpdateDeviceRequest(dtos.UpdateDevice{Name: &name, OperatingState: &state, Labels: []string{p.run, "down"}}),
		requests.NewUpdateDeviceRequest(dtos.UpdateDevice{Name: &nobody, OperatingState: &state}),
	}
	items := must(p.devices.Update(ctx(), updates))
	equal("status of each item", []int{items[0].StatusCode, items[1].StatusCode}, []int{http.StatusOK, http.StatusNotFound})
	found := must(p.devices.DeviceByName(ctx(), name)).Device
	equal("what was changed", []any{found.OperatingState, found.Labels}, []any{"DOWN", []string{p.run, "down"}})
	equal("what was not", found.Tags, p.room(name).Tags)
	eventually("the change of a device is told", p.bus.heard("device", "update", p.service(), name))
}

func (p *proof) askForDevices() {
	all := must(p.devices.AllDevices(ctx(), []string{p.run}, 0, 1))
	equal("a page", []any{all.TotalCount, len(all.Devices)}, []int{2, 1})
	rest := must(p.devices.AllDevices(ctx(), []string{p.run}, 1, -1))
	equal("the next page", len(rest.Devices), 1)
	holds("pages do not overlap", all.Devices[0].Name != rest.Devices[0].Name)
	equal("devices of the service", must(p.devices.DevicesByServiceName(ctx(), p.service(), 0, -1)).TotalCount, 2)
	equal("devices of the profile", must(p.devices.DevicesByProfileName(ctx(), p.profile(), 0, -1)).TotalCount, 2)
	below := must(p.devices.AllDevicesWithChildren(ctx(), p.device(), 0, nil, 0, -1))
	equal("children", []any{below.TotalCount, below.Devices[0].Name}, []any{1, p.strange()})
	refused(p.devices.AllDevices(ctx(), []string{p.run}, 3, 1)).with(http.StatusRequestedRangeNotSatisfiable)
	refused(p.devices.AllDevices(ctx(), nil, -1, 1)).with(http.StatusBadRequest)
}

func (p *proof) watch() {
	name := "watcher-" + p.run
	watcher := dtos.ProvisionWatcher{
		Name: name, ServiceName: p.service(), AdminState: "UNLOCKED", Labels: []string{p.run},
		Identifiers: map[string]string{"address": "10\\.0\\..*"}, BlockingIdentifiers: map[string][]string{"port": {"1", "2"}},
		DiscoveredDevice: dtos.DiscoveredDevice{ProfileName: p.profile(), AdminState: "UNLOCKED", Properties: map[string]any{"a": 1}},
	}
	one(must(p.watchers.Add(ctx(), []requests.AddProvisionWatcherRequest{requests.NewAddProvisionWatcherRequest(watcher)})), http.StatusCreated)
	found := must(p.watchers.ProvisionWatcherByName(ctx(), name)).ProvisionWatcher
	equal("identifiers", []any{found.Identifiers, found.BlockingIdentifiers}, []any{watcher.Identifiers, watcher.BlockingIdentifiers})
	state := "LOCKED"
	update := requests.NewUpdateProvisionWatcherRequest(dtos.UpdateProvisionWatcher{Name: &name, AdminState: &state})
	changed(must(p.watchers.Update(ctx(), []requests.UpdateProvisionWatcherRequest{update})), http.StatusOK)
	equal("watchers of the service", must(p.watchers.ProvisionWatchersByServiceName(ctx(), p.service(), 0, -1)).ProvisionWatchers[0].AdminState, state)
	equal("watchers of the profile", must(p.watchers.ProvisionWatchersByProfileName(ctx(), p.profile(), 0, -1)).TotalCount, 1)
	equal("watchers with the label", must(p.watchers.AllProvisionWatchers(ctx(), []string{p.run}, 0, -1)).TotalCount, 1)
	eventually("a new watcher is told", p.bus.heard("provisionwatcher", "add", p.service(), name))
	must(p.watchers.DeleteProvisionWatcherByName(ctx(), name))
	refused(p.watchers.ProvisionWatcherByName(ctx(), name)).with(http.StatusNotFound)
}

// takeAway deletes what was made, last what the rest refers to.
func (p *proof) takeAway() {
	must(p.devices.DeleteDeviceByName(ctx(), p.strange()))
	must(p.devices.DeleteDeviceByName(ctx(), p.device()))
	eventually("the end of a device is told", p.bus.heard("device", "delete", p.service(), p.device()))
	refused(p.devices.DeleteDeviceByName(ctx(), p.device())).with(http.StatusNotFound)
	must(p.profiles.DeleteByName(ctx(), p.profile()))
	must(p.services.DeleteByName(ctx(), p.service()))
	refused(p.services.DeleteByName(ctx(), p.service())).with(http.StatusNotFound)
	eventually("the end of a service is told", p.bus.heard("deviceservice", "delete", p.service(), p.service()))
}
