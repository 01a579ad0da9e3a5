export { DEVICE_MAIN, DEVICE_TAG, packDeviceImage } from './device-image.ts';
