// A device service whose device is the computer it runs on: docs/device-sdk.md goes through it.
import { freemem, getPriority, hostname, loadavg, setPriority, uptime } from 'node:os';
import { join } from 'node:path';
import { AntirioError, commandValue, runDeviceService, type Device, type Driver } from '@antirio/device-sdk';

const pidOf = (device: Device): number => Number(device.protocols['os']?.['pid']);

function figure(device: Device, name: unknown): unknown {
  switch (name) {
    case 'load':
      return loadavg()[0];
    case 'free':
      return freemem();
    case 'uptime':
      return uptime();
    case 'name':
      return hostname();
    case 'niceness':
      return getPriority(pidOf(device));
    default:
      throw new AntirioError('failed', `this host has no figure ${String(name)}`);
  }
}

const driver: Driver = {
  async read(device, requests) {
    return requests.map(({ resourceName, valueType, attributes }) =>
      commandValue(resourceName, valueType, figure(device, attributes['figure'])),
    );
  },
  async write(device, requests) {
    // the profile lets only the niceness be written
    for (const { value } of requests) setPriority(pidOf(device), Number(value.value));
  },
  validate(device) {
    if (!Number.isSafeInteger(pidOf(device)))
      throw new AntirioError('invalidInput', `${device.name} has no protocol "os" with a pid`);
  },
};

const res = join(import.meta.dirname, '../res');
await runDeviceService(
  {
    serviceName: 'device-host',
    port: 59_992,
    profilesDir: join(res, 'profiles'),
    devicesDir: join(res, 'devices'),
  },
  driver,
);
