import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRadio, simulatorSpec, UDP_PORTS, type Radio } from '@antirio/demo';
import type { Device } from '@antirio/lora-simulator';
import type { Place } from './bundled.ts';
import type { RunningParty, Setting } from './setting.ts';

const GATEWAY = '0016c001ff10be00';
const MOTES = 100;
/** 100 motes, each every two seconds: 50 uplinks/s. */
const PERIOD_MS = 2_000;

/** The conditions, to be printed with a figure. */
export const TRAFFIC = { motes: MOTES, uplinksPerSecond: (MOTES * 1_000) / PERIOD_MS } as const;

/** Simulated motes with one gateway, and the edge that knows them. */
export interface Motes {
  readonly place: Place;
  readonly devices: readonly Device[];
  readonly truthFile: string;
  readonly radio: Radio;
}

/** Motes that nothing disturbs: no loss, no attack; every uplink is a datagram of its own. */
function simulation(offset: number): unknown {
  return {
    motes: MOTES,
    periodMs: PERIOD_MS,
    attack: { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 },
    gateways: [
      // An acknowledgement may come after a long stop of the edge.
      { id: GATEWAY, port: UDP_PORTS.gateway + offset, loss: 0, batchMs: 0, ackWindowMs: 60_000 },
    ],
  };
}

/** Starts silent motes, and a place for an edge that has their keys. */
export async function openMotes(setting: Setting, name: string): Promise<Motes> {
  const secretsFile = join(setting.folder, `${name}-secrets.json`);
  const file = (kind: string): string => join(setting.folder, `${name}-${kind}`);
  const files = { config: file('simulator.json'), truth: file('truth.jsonl'), devices: file('devices.json') };
  const deviceLora = { serviceName: 'device-lora', secretsFile };
  const bare = setting.place(name, { deviceLora });
  writeFileSync(files.config, JSON.stringify(simulation(bare.offset)));
  const simulator = await setting.processes.start({ ...simulatorSpec(files), name: `${name}-simulator` });
  const radio = await openRadio(simulator);
  const devices = JSON.parse(readFileSync(files.devices, 'utf8')) as Device[];
  const sessions = devices.map(({ name: _name, ...session }) => session);
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions }), { mode: 0o600 });
  const known = devices.map(({ devEui, name: device, devAddr }) => ({ devEui, name: device, devAddr }));
  const place = setting.place(name, {
    gatewayBridge: { udp: { gateways: [GATEWAY] } },
    deviceLora: { ...deviceLora, devices: known },
  });
  return { place, devices, truthFile: files.truth, radio };
}

/** The UDP port that the motes' gateway sends to. */
export const gatewayPortOf = ({ offset }: RunningParty): number => UDP_PORTS.gateway + offset;
