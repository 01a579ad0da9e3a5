import { signDocument, type Identity } from '@antirio/kernel';
import { EPOCH_REQUEST_KIND } from '@antirio/ledger-machine';
import type { ContractTerms, HandbackStatement, Observed, PartyEffect } from '@antirio/service-contract';
import type { CentralNode } from './central-node.ts';
import { countersOf, type EdgeDisk, type Role, type Rooms } from './edge.ts';
import type { Session, Verifies } from './frames.ts';
import type { Holders } from './holders.ts';
import type { Host } from './host.ts';
import { identities } from './identities.ts';
import { sign, type Payload } from './ledger.ts';
import type { Network, Reply } from './network.ts';
import { ringRootThrough } from './ring-root.ts';
import type { EdgeName } from './scenario.ts';
import { statementOver } from './statement.ts';

type Call = Extract<PartyEffect, { type: 'call' }>;

export interface PartyLinks {
  readonly host: Host;
  readonly centralHost: Host;
  readonly central: () => CentralNode;
  readonly network: Network;
  readonly holders: Holders;
  readonly terms: ContractTerms;
  /** Whose part it is. */
  readonly self: EdgeName;
  readonly send: (effect: Extract<PartyEffect, { type: 'send' }>) => void;
}

const TIMEOUT_MS = 5000;
/** A room of the same edge answers after about so long. */
const NEARBY_MS = 3;

/** A call to the centre, with its answer for the machine that asked. */
export function callCentral(
  links: PartyLinks,
  call: Call,
  rooms: Rooms,
  serve: (central: CentralNode, reply: Reply<unknown>) => void,
): void {
  const { network, host, centralHost } = links;
  network.call<unknown>(
    host,
    centralHost,
    TIMEOUT_MS,
    (reply) => {
      serve(links.central(), reply);
    },
    (result) => {
      const asked = 'holder' in call.args ? { holder: call.args.holder } : {};
      rooms.party.post({ type: 'answer', method: call.method, ...asked, ...result });
    },
  );
}

/** Signed when the signature is first looked at: it is the same at any time, and most requests are refused before that. */
function signedLate<K extends string, B>(identity: Identity, kind: K, body: B) {
  let signature: string | undefined;
  return {
    kind,
    by: identity.edgeId,
    body,
    get signature(): string {
      return (signature ??= signDocument(identity, kind, body).signature);
    },
  };
}

export function takeRequest(
  terms: ContractTerms,
  by: keyof typeof identities,
  expected: number,
  nonce: string,
) {
  const body = { setId: terms.set.setId, epoch: expected, contractId: terms.contractId, nonce };
  return signedLate(identities[by], EPOCH_REQUEST_KIND, body);
}

export interface ProviderOptions {
  readonly disk: EdgeDisk;
  readonly sessions: readonly Session[];
  readonly verifies: Verifies;
  /** How long the standby service takes to come up, and to become active, ms. */
  readonly startMs: number;
  readonly activateMs: number;
  /** Between what it finds and what it says. */
  readonly stated: (statement: HandbackStatement) => HandbackStatement;
}

/** Of what a provider says to the ledger itself. */
function payloadOf(call: Call, { set }: ContractTerms): Payload | undefined {
  switch (call.method) {
    case 'ready':
      return { type: 'contract/ready', ...call.args, evidence: {} };
    case 'degrade':
      return { type: 'contract/degrade', ...call.args };
    case 'close':
      return { type: 'contract/close', ...call.args };
    case 'statement': {
      const { statement, counters } = call.args;
      return { type: 'contract/statement', statement, counters };
    }
    case 'release': {
      const { epoch, counters, bootId } = call.args;
      return { type: 'epoch/release', setId: set.setId, epoch, counters, bootId };
    }
    default:
      return undefined;
  }
}

/** What an edge does as a provider: ring, sealed keys, the guest's service, statements. */
export function providerRole(links: PartyLinks, options: ProviderOptions): Role {
  const { host, terms, self } = links;
  const { disk, sessions } = options;
  const { contractId } = terms;
  /** What the guest's process is; keys live in memory only. */
  let guest: NonNullable<Observed['service']> = 'absent';
  let keys = false;

  // eslint-disable-next-line complexity -- mirrors what a real orchestrator answers, state by state
  const settle = (rooms: Rooms): Observed['service'] => {
    const wanted = rooms.party.desires().service;
    const phase = rooms.party.phase().at;
    if (wanted !== 'active' && (phase === 'ready' || phase === 'ended')) keys = false;
    if (wanted === 'active' && !keys) return 'needsSecrets';
    const goal = wanted === 'active' ? 'active' : 'standby';
    if (guest === goal || guest === 'loading') return guest;
    if (goal === 'standby' && guest === 'active') {
      guest = 'standby';
      rooms.service.standDown();
      return guest;
    }
    guest = 'loading';
    host.after(goal === 'active' ? options.activateMs : options.startMs, () => {
      guest = goal;
      if (goal === 'active') rooms.service.activate();
      observe(rooms);
    });
    return guest;
  };
  const observe = (rooms: Rooms): void => {
    const ring = { from: disk.ring.acknowledged + 1, next: rooms.ring.last + 1 };
    const gateways = [{ id: self, heardMsAgo: rooms.gateway.silentMs() }];
    rooms.party.post({ type: 'observed', observed: { ring, gateways, storeOk: !host.full } });
    if (!disk.keysGiven) return;
    rooms.party.post({ type: 'observed', observed: { service: settle(rooms), keysHeld: true } });
  };
  const sealOff = (rooms: Rooms, from: number, epoch: number): void => {
    const devAddrs = terms.set.devices.map((device) => device.devAddr);
    host.after(NEARBY_MS, () => {
      rooms.fence.set(devAddrs, { state: 'shut' });
      host.after(NEARBY_MS, () => {
        if (!keys) return;
        const through = rooms.ring.last;
        const statement = stateOver(rooms, from, through, epoch);
        rooms.party.post({ type: 'sealedOff', counters: countersOf(rooms, sessions), statement });
      });
    });
  };
  const stateOver = (rooms: Rooms, from: number, through: number, epoch: number): HandbackStatement => {
    const frames = rooms.ring.after(from - 1, through - from + 1).map((one) => one.frame);
    const range = { contractId, epoch, from, through };
    return options.stated(statementOver(frames, sessions, options.verifies, range));
  };
  /** Over the same range, where the two statements differ. */
  const stateAgain = (rooms: Rooms, from: number, through: number, epoch: number): void => {
    host.after(NEARBY_MS, () => {
      if (!keys) return;
      const statement = stateOver(rooms, from, through, epoch);
      rooms.party.post({ type: 'stated', counters: countersOf(rooms, sessions), statement });
    });
  };
  /** The whole key, or a threshold of shares. */
  const opens = (shares: readonly unknown[] | null): boolean =>
    shares === null ? terms.opening === 'autonomous' : shares.length >= terms.escrow.threshold;
  const transact = (call: Call, rooms: Rooms, payload: Payload): void => {
    const tx = sign(identities[self], host.dice, payload);
    callCentral(links, call, rooms, (central, reply) => {
      central.transact(tx, reply);
    });
  };
  const perform = (call: Call, rooms: Rooms): void => {
    const payload = payloadOf(call, terms);
    if (payload !== undefined) {
      transact(call, rooms, payload);
      return;
    }
    switch (call.method) {
      case 'witness':
      case 'record': {
        const { method } = call;
        callCentral(links, call, rooms, (central, reply) => {
          central[method](contractId, reply);
        });
        return;
      }
      case 'acts':
        callCentral(links, call, rooms, (central, reply) => {
          central.acts(contractId, call.args.word, reply);
        });
        return;
      case 'share': {
        const { holder, opening } = call.args;
        // holders need the ledger for all they do: who is cut off from the centre is from them
        callCentral(links, call, rooms, (_central, reply) => {
          links.holders.release(terms.provider, holder, contractId, opening, reply);
        });
        return;
      }
      case 'open': {
        const root = ringRootThrough(self, contractId, rooms.ring.last);
        callCentral(links, call, rooms, (central, reply) => {
          central.open(contractId, root, call.args.word, reply);
        });
        return;
      }
      case 'take': {
        const request = takeRequest(terms, self, call.args.expected, host.dice.bits().toString(16));
        callCentral(links, call, rooms, (central, reply) => {
          central.take(identities[self].edgeId, request, reply);
        });
        return;
      }
      default:
        return;
    }
  };
  return {
    name: 'provider',
    begin() {
      guest = 'absent';
      keys = false;
    },
    observe,
    execute(effect, rooms) {
      switch (effect.type) {
        case 'send':
          links.send(effect);
          return;
        case 'call':
          perform(effect, rooms);
          return;
        case 'openKeys':
          if (!disk.keysGiven || !opens(effect.shares)) return;
          keys = true;
          host.after(1, () => {
            observe(rooms);
          });
          return;
        case 'sealOff':
          sealOff(rooms, effect.from, effect.epoch);
          return;
        case 'state':
          stateAgain(rooms, effect.from, effect.through, effect.epoch);
          return;
        case 'grantBlock':
          host.after(NEARBY_MS, () => {
            rooms.fence.grant(effect.devAddr, effect.block);
            rooms.service.onGrant(effect.devAddr, effect.block, effect.proven);
          });
          return;
        default:
          return;
      }
    },
    askCounters(rooms, event) {
      host.after(NEARBY_MS, () => {
        rooms.party.post(event);
      });
    },
  };
}
