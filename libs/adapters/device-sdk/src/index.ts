export type {
  AsyncValues,
  DeviceSdk,
  DeviceServicePorts,
  DiscoveredDevice,
  Driver,
  EventSink,
  NewDevice,
  NewProfile,
  NewProvision,
  NewProvisionWatcher,
  ProfileScanRequest,
} from './driver.ts';
export { createDeviceService, type DeviceServiceRoom } from './device-service.ts';
export { deviceServiceEnvironment, deviceServiceOptions, type DeviceServiceOptions } from './options.ts';
export { runDeviceService } from './run.ts';
export type { DevicePatch, ProvisionWatcherPatch } from './metadata.ts';
export type { Device } from '@antirio/edgex-contracts';
export { AntirioError } from '@antirio/kernel';
export { commandValue, type CommandValue, type ReadRequest, type WriteRequest } from '@antirio/device-values';
