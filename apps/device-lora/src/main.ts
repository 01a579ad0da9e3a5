import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { createMqttBus } from '@antirio/bus';
import { AntirioError } from '@antirio/kernel';
import {
  createLog,
  httpPeer,
  loadConfig,
  runAlone,
  systemClock,
  systemRandom,
  type HttpPeer,
} from '@antirio/host';
import { createDeviceLora, deviceLoraOptions, type DeviceLoraOptions } from './index.ts';

// The entrypoint of the image: everything it needs is in one folder.

/** A pipe to the parent ends with the parent: nobody runs on as an orphan. Without a parent's pipe there is nothing to watch. */
function endWithParent(): void {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();
}

type Address = { readonly url: string } | { readonly socket: string };

const peerAt = (address: Address): HttpPeer =>
  httpPeer('url' in address ? { url: address.url } : { socketPath: address.socket });

function needed<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw new AntirioError('badConfig', `bad configuration: ${key} is missing`);
  return value;
}

function peersOf({ north, ringUrl }: DeviceLoraOptions): Record<string, HttpPeer> {
  const { coreData, coreMetadata } = needed(north, 'north');
  return {
    coreData: peerAt(coreData),
    coreMetadata: peerAt(coreMetadata),
    ...(ringUrl === undefined ? {} : { gatewayBridge: httpPeer({ url: ringUrl }) }),
  };
}

const log = createLog('device-lora');
endWithParent();
await runAlone(log, () => {
  const folder = process.env['ANTIRIO_RUN_DIR'] ?? '/run/antirio';
  const options = loadConfig(deviceLoraOptions, { file: process.argv[2] ?? join(folder, 'config.json') });
  const address = needed(options.bus, 'bus');
  const { username, password } = address;
  const login = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  const bus = createMqttBus(
    'url' in address ? { url: address.url, ...login } : { socketPath: address.socket, ...login },
    log,
  );
  const peers = peersOf(options);
  const room = createDeviceLora(options, { clock: systemClock, random: systemRandom, log, bus, peers });
  const stop = async (): Promise<void> => {
    await room.stop();
    await bus.close();
    for (const peer of Object.values(peers)) peer.close();
  };
  return { name: room.name, start: () => room.start(), stop, health: () => room.health() };
});
