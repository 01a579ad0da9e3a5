import { z } from 'zod';
import { silentLog } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { peerOf } from '../access.ts';
import type { EdgeConfig } from '../config.ts';
import { roomOf, type RoomKey } from '../rooms.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

const TIMEOUT_MS = 3000;

const told = z.looseObject({
  devices: z.array(z.looseObject({ name: z.string(), devEui: z.string() })),
  through: z.string(),
  mayAct: z.boolean(),
  why: z.string().default(''),
  waiting: z.looseObject({ events: z.number() }),
  gateways: z.array(z.string()),
});
export type NetworkServer = z.output<typeof told>;

const contract = z.looseObject({
  contractId: z.string(),
  role: z.string(),
  state: z.string(),
  letGo: z.boolean().optional(),
  terms: z.looseObject({
    confidentiality: z.string().optional(),
    set: z.looseObject({ devices: z.array(z.looseObject({ devEui: z.string() })) }),
  }),
});
export type SomeContract = z.output<typeof contract>;

/** Contracts of this edge as a customer that are about these devices, and not over. */
function insuredBy(contracts: readonly SomeContract[], { devices }: NetworkServer): string[] {
  const euis = new Set(devices.map(({ devEui }) => devEui.toLowerCase()));
  // without keys nobody acts
  const isAbout = ({ terms }: SomeContract): boolean =>
    terms.confidentiality !== 'relay' &&
    terms.set.devices.some(({ devEui }) => euis.has(devEui.toLowerCase()));
  return contracts
    .filter((one) => one.role === 'customer' && one.letGo !== true && one.state !== 'refused' && isAbout(one))
    .map(({ contractId }) => contractId);
}

/** @param contracts of this edge */
export function judgeNetworkServer(server: NetworkServer, contracts: readonly SomeContract[]): Finding[] {
  const { devices, through, mayAct, why, waiting, gateways } = server;
  const insured = mayAct ? [] : insuredBy(contracts, server);
  const what = `ChirpStack is the network server of ${devices.length} devices`;
  const findings: Finding[] = [];
  if (insured.length > 0)
    findings.push(
      problem(
        'network server',
        `contract ${insured.join(', ')} lets a neighbour act for devices of ChirpStack's: ${why}`,
      ),
    );
  else if (!mayAct && through === 'ourBridge') findings.push(warning('network server', `${what}; ${why}`));
  else
    findings.push(
      ok('network server', mayAct ? what : `${what}; contracts that act are refused for them: ${why}`),
    );
  if (gateways.length === 0 && devices.length > 0)
    findings.push(
      warning(
        'network server',
        'ChirpStack has told of no uplink for a week: look at its integration (docs/chirpstack.md), and at the device in its web page',
      ),
    );
  if (waiting.events > 0)
    findings.push(
      warning('network server', `${waiting.events} readings of ChirpStack's wait for core-data: look at it`),
    );
  return findings;
}

async function ask<S extends z.ZodType>(
  key: RoomKey,
  config: EdgeConfig,
  path: string,
  shape: S,
): Promise<z.output<S>> {
  const peer = peerOf(roomOf(key), config, silentLog);
  try {
    return shape.parse((await peer.call({ path, timeoutMs: TIMEOUT_MS })).json());
  } finally {
    peer.close();
  }
}

/** ChirpStack, where it is the network server of devices: whether its events come, and whether contracts go with it. */
export async function checkNetworkServer(config: EdgeConfig): Promise<Finding[]> {
  if (config.deviceLora['chirpStack'] === undefined) return [];
  try {
    const [server, contracts] = await Promise.all([
      ask('deviceLora', config, '/api/v3/lora/chirpstack', told),
      ask('arbitrator', config, '/arbitrator/v1/contract', z.array(contract)),
    ]);
    return judgeNetworkServer(server, contracts);
  } catch (error) {
    return [problem('network server', `what has come of ChirpStack cannot be told: ${describeError(error)}`)];
  }
}
