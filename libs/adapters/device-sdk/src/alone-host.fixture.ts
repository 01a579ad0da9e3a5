// A device service as the whole of a process.
import { runDeviceService } from './index.ts';

await runDeviceService(
  {
    serviceName: 'device-alone',
    port: 0,
    dataDir: process.env['ALONE_DATA'] ?? '',
    custom: { Poller: { Interval: 5, Writable: { Retries: 3 } } },
    driver: { Baud: '9600', Parity: 'none' },
  },
  { read: async () => [], write: async () => undefined },
);
