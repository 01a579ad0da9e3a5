import { join } from 'node:path';
import { keys as ledgerKeys } from '@antirio/ledger-machine';
import type { HandbackStatement, PartyEvent } from '@antirio/service-contract';
import { counterFloors } from './counter-floors.ts';
import { ringFrames, summariseFrames } from './genuine-frames.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { PartyContract } from './party-machine.ts';
import { peerNamed } from './peers.ts';
import type { Secrets } from './sealed-keys.ts';

type Range = Omit<HandbackStatement, 'devices'>;

type StatementOver = (
  payloads: AsyncIterable<readonly Uint8Array[]>,
  secrets: Secrets,
  range: Omit<HandbackStatement, 'contractId' | 'devices'>,
) => Promise<HandbackStatement>;

/** By the counters that our own service verified, or that the customer told the ring. */
export function statementsOf(
  { ports, options }: { readonly ports: ArbitratorPorts; readonly options: ArbitratorOptions },
  { terms: { contractId }, role }: PartyContract,
): StatementOver {
  return async (payloads, secrets, range) => {
    const path = join(options.dataDir, 'arbitrator', `statement-${contractId}-${role}.sort`);
    const floors = await counterFloors(ports.peers, role === 'customer' ? 'own' : contractId);
    return { contractId, ...range, devices: await summariseFrames({ payloads, secrets, floors, path }) };
  };
}

export interface RestatedParts {
  readonly ledger: Pick<LedgerClient, 'fetch'>;
  readonly ports: Pick<ArbitratorPorts, 'peers'>;
  /** Those that were opened, as long as this process has them. */
  readonly keys: Secrets | undefined;
}

/**
 * The provider's newer word on the same frames; its volumes and counters are as it said before. None where it has no keys any more.
 */
export async function restated(
  { ledger, ports, keys }: RestatedParts,
  { contractId, from, through, epoch }: Range,
  over: StatementOver,
): Promise<Extract<PartyEvent, { type: 'stated' }>[]> {
  const said = await ledger.fetch(ledgerKeys.statement(contractId, epoch, 'provider'));
  if (keys === undefined || said === undefined) return [];
  const bridge = peerNamed(ports.peers, 'gatewayBridge');
  const { devices } = await over(ringFrames(bridge, contractId, from, through), keys, {
    from,
    through,
    epoch,
  });
  return [{ type: 'stated', counters: { ...said.counters }, statement: { ...said.statement, devices } }];
}
