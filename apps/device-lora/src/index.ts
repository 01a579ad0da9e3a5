export { createDeviceLora, type DeviceLora, type DeviceLoraPorts } from './device-lora.ts';
export { deviceLoraOptions, type DeviceLoraOptions, type DeviceLoraOptionsInput } from './options.ts';
export { openKeyFile, type KeyFile } from './downlink/key-file.ts';
export { loraEnvironmentSensor } from './profile.ts';
