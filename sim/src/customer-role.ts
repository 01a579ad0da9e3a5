import type { HandbackStatement, Observed, PartyEffect, RekeyCount } from '@antirio/service-contract';
import type { HighWater } from '@antirio/shadow-buffer';
import { createCentreWay } from './centre-way.ts';
import { countersOf, type EdgeDisk, type EdgeNode, type Role, type Rooms } from './edge.ts';
import type { Frame, Session, Verifies } from './frames.ts';
import {
  PAGE_FRAMES,
  startGapFiller,
  type GapFiller,
  type GapSource,
  type Offer,
  type Page,
} from './gap-filler.ts';
import { identities } from './identities.ts';
import { sign } from './ledger.ts';
import type { Reply } from './network.ts';
import type { Ring } from './ring.ts';
import { tellToYield } from './operator.ts';
import { callCentral, takeRequest, type PartyLinks } from './provider-role.ts';
import { statementOver } from './statement.ts';

type Call = Extract<PartyEffect, { type: 'call' }>;

export interface CustomerOptions {
  readonly disk: EdgeDisk;
  readonly sessions: readonly Session[];
  readonly verifies: Verifies;
  readonly provider: () => EdgeNode;
  readonly fillEveryMs: number;
  /** Between what it finds and what it says. */
  readonly stated: (statement: HandbackStatement) => HandbackStatement;
  /** How many devices have new keys, where that is asked. */
  readonly rekeyed: () => RekeyCount | undefined;
  /** What its arbitrator notices of the edge. */
  readonly senses: (observed: Observed) => Observed;
  /** What a gap filler gets of the other ring. */
  readonly filter: (source: GapSource) => GapSource;
}

const TIMEOUT_MS = 5000;
const NEARBY_MS = 3;
/** As the bridge tells them. */
const MARKS_EVERY_MS = 5000;

/** Who is deaf, or has no bridge, gets no answer from the other ring. */
function hearing(source: GapSource, disk: EdgeDisk): GapSource {
  return {
    ...source,
    offers: (after, done) => {
      if (disk.deaf || disk.bridgeDead) done({ ok: false, code: 'timeout' });
      else source.offers(after, done);
    },
  };
}

/** What an edge does as a customer: it fills its gaps from the provider's ring, gives keys away, states what it got back. */
export function customerRole(links: PartyLinks, options: CustomerOptions): Role {
  const { host, terms, network } = links;
  const { disk, sessions } = options;
  const { contractId } = terms;
  let filler: GapFiller | undefined;
  let own: Ring | undefined;
  let marksToldAt = -Infinity;

  const served =
    <T>(provider: EdgeNode, serve: (provider: EdgeNode) => T) =>
    (reply: Reply<T>): void => {
      const value = serve(provider);
      provider.host.after(NEARBY_MS, () => {
        reply({ ok: true, value });
      });
    };
  const askProvider = <T>(serve: (provider: EdgeNode) => T, done: Reply<T>): void => {
    const provider = options.provider();
    network.call<T>(host, provider.host, TIMEOUT_MS, served(provider, serve), done);
  };
  const pageOf = (provider: EdgeNode, after: number): Page => {
    const { ring } = provider.rooms();
    return { offers: ring.after(after, PAGE_FRAMES), last: ring.last };
  };
  const askEither = createCentreWay({ host, centralHost: links.centralHost, network });
  /** What the centre carries where the provider itself is not reached. */
  const askRing = <T>(serve: (provider: EdgeNode) => T, done: Reply<T>): void => {
    const provider = options.provider();
    askEither<T>(provider.host, served(provider, serve), done);
  };
  /** How far its motes have counted, where a ring is limited by that. */
  const marksDue = (): [string, HighWater][] => {
    const now = host.clock.monotonic();
    if (own === undefined || Math.abs(now - marksToldAt) < MARKS_EVERY_MS) return [];
    marksToldAt = now;
    return Object.entries(own.marks());
  };
  const source: GapSource = {
    offers: (after, done) => {
      askRing((provider) => pageOf(provider, after), done);
    },
    frames: (seqs, done) => {
      askRing((provider) => seqs.flatMap((seq) => provider.rooms().ring.at(seq) ?? []), done);
    },
    acknowledge: (through, done) => {
      const marks = marksDue();
      askRing((provider) => {
        const { ring } = provider.rooms();
        ring.acknowledge(through);
        for (const [devAddr, mark] of marks) ring.mark(devAddr, mark);
      }, done);
    },
  };
  const state = (rooms: Rooms, { from, through, epoch }: Extract<PartyEffect, { type: 'state' }>): void => {
    if (disk.bridgeDead) return;
    const copies: Frame[] = [];
    const conclude = (): void => {
      const range = { contractId, epoch, from, through };
      const statement = options.stated(statementOver(copies, sessions, options.verifies, range));
      rooms.party.post({ type: 'stated', statement, counters: countersOf(rooms, sessions) });
    };
    const page = (after: number): void => {
      askProvider(
        (provider) => pageOf(provider, after),
        (answer) => {
          if (!answer.ok) return;
          const offers = answer.value.offers.filter(({ seq }) => seq <= through);
          // our own copies of what it names: what we lack is not there, and what we let go of comes once more
          const comesAgain = ({ frame }: Offer): boolean => disk.ring.letGo.has(frame.bytes);
          const isOurs = (offer: Offer): boolean => rooms.ring.holds(offer.frame.bytes) || comesAgain(offer);
          copies.push(...offers.filter(isOurs).map(({ frame }) => frame));
          const last = offers.at(-1)?.seq ?? through;
          if (last < through) page(last);
          else conclude();
        },
      );
    };
    page(from - 1);
  };
  const perform = (call: Call, rooms: Rooms): void => {
    switch (call.method) {
      case 'keyShare':
        callCentral(links, call, rooms, (central, reply) => {
          const { holder } = call.args;
          if (holder === terms.central) central.keyShare(contractId, reply);
          else links.holders.keep(holder, contractId, reply);
        });
        return;
      case 'record':
        callCentral(links, call, rooms, (central, reply) => {
          central.record(contractId, reply);
        });
        return;
      case 'take': {
        const request = takeRequest(terms, 'A', call.args.expected, host.dice.bits().toString(16));
        callCentral(links, call, rooms, (central, reply) => {
          central.take(identities.A.edgeId, request, reply);
        });
        return;
      }
      case 'statement': {
        const { statement, counters } = call.args;
        const tx = sign(identities.A, host.dice, { type: 'contract/statement', statement, counters });
        callCentral(links, call, rooms, (central, reply) => {
          central.transact(tx, reply);
        });
        return;
      }
      case 'rekeyed': {
        const tx = sign(identities.A, host.dice, { type: 'contract/rekeyed', ...call.args });
        callCentral(links, call, rooms, (central, reply) => {
          central.transact(tx, reply);
        });
        return;
      }
      case 'keys':
        askProvider(
          (provider) => {
            if (provider.host.full) return false;
            provider.disk.keysGiven = true;
            provider.host.wrote('keys');
            return true;
          },
          (result) => {
            const kept = result.ok && !result.value ? ({ ok: false, code: 'full' } as const) : result;
            rooms.party.post({ type: 'answer', method: 'keys', ...answerOf(kept) });
          },
        );
        return;
      case 'release': {
        const { epoch, counters, bootId } = call.args;
        const { setId } = terms.set;
        const tx = sign(identities.A, host.dice, { type: 'epoch/release', setId, epoch, counters, bootId });
        callCentral(links, call, rooms, (central, reply) => {
          central.transact(tx, reply);
        });
        return;
      }
      case 'yield': {
        const { word } = call.args;
        askProvider(
          (provider) => {
            provider.rooms().party.post({ type: 'takeOverAsked', word });
          },
          (result) => {
            rooms.party.post({ type: 'answer', method: 'yield', ...answerOf(result) });
          },
        );
        return;
      }
      case 'return': {
        const { epoch } = call.args;
        askProvider(
          (provider) => {
            provider.rooms().party.post({ type: 'returnAsked', epoch });
          },
          (result) => {
            rooms.party.post({ type: 'answer', method: 'return', ...answerOf(result) });
          },
        );
        return;
      }
      default:
        return;
    }
  };
  /** What the bridge is asked; one that is dead gives no answer. */
  const bridged = (work: () => void): void => {
    host.after(NEARBY_MS, () => {
      if (!disk.bridgeDead) work();
    });
  };
  const giveUp = (rooms: Rooms): void => {
    const devAddrs = terms.set.devices.map((device) => device.devAddr);
    bridged(() => {
      rooms.fence.set(devAddrs, { state: 'shut' });
      bridged(() => {
        rooms.party.post({ type: 'givenUp', counters: countersOf(rooms, sessions) });
      });
    });
  };
  return {
    name: 'customer',
    begin(rooms) {
      own = rooms.ring;
      filler = startGapFiller({
        host,
        ring: rooms.ring,
        disk: disk.ring,
        from: options.provider().host.name,
        source: hearing(options.filter(source), disk),
        intervalMs: options.fillEveryMs,
      });
      host.after(NEARBY_MS, () => {
        rooms.service.activate();
      });
    },
    observe(rooms) {
      if (filler === undefined) return;
      const load = { cpuPermille: disk.busy ? 990 : 300 };
      const rekeyed = options.rekeyed();
      const counted = rekeyed === undefined ? {} : { rekeyed };
      const filled = filler.status();
      const observed = options.senses({
        ...{ storeOk: !host.full, load },
        source: disk.bridgeDead ? { ...filled, caughtUp: false } : filled,
        rooms: { gatewayBridge: disk.bridgeDead ? 'silent' : 'well' },
        ...counted,
      });
      rooms.party.post({ type: 'observed', observed });
    },
    execute(effect, rooms) {
      switch (effect.type) {
        case 'send':
          links.send(effect);
          return;
        case 'call':
          perform(effect, rooms);
          return;
        case 'state':
          state(rooms, effect);
          return;
        case 'grantBlock':
          bridged(() => {
            rooms.fence.grant(effect.devAddr, effect.block);
            rooms.service.onGrant(effect.devAddr, effect.block, effect.proven);
          });
          return;
        case 'lastGasp':
          tellToYield(host, rooms, terms, effect.cause);
          return;
        case 'giveUp':
          giveUp(rooms);
          return;
        case 'failures':
        case 'openKeys':
        case 'sealOff':
          return;
      }
    },
    askCounters(rooms, event) {
      host.after(NEARBY_MS, () => rooms.party.post(event));
    },
  };
}

function answerOf(result: { readonly ok: true } | { readonly ok: false; readonly code: string }) {
  return result.ok ? ({ ok: true, value: { keyVersion: 1 } } as const) : result;
}
