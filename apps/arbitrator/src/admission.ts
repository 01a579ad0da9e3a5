import { statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { AntirioError } from '@antirio/kernel';
import { keepsOnly, type ContractTerms, type Standing } from '@antirio/service-contract';
import type { ArbitratorOptions } from './options.ts';
import type { PartyRooms } from './party-rooms.ts';

/** What this machine really has left now, bytes. */
export interface Spare {
  readonly disk: number;
  readonly memory: number;
}

/** `yielding`: bytes on the disk that go as soon as living contracts need the room. */
export function spareOf(dataDir: string, yielding = 0): Spare {
  const { bavail, bsize } = statfsSync(dataDir);
  return { disk: bavail * bsize + yielding, memory: freemem() };
}

/** Left for everything else that this edge writes. */
const DISK_KEPT = 64 << 20;
/** Less than a device service's process takes. */
const MEMORY_LEAST = 64 << 20;

type Needing = Pick<ContractTerms, 'confidentiality' | 'disputeS' | 'ringBudgetBytes' | 'volumes'>;

/** The snapshot that is held, the one that comes, in the content store too, and what is filled from it. */
const VOLUMES_AT_ONCE = 4;

function diskOf({ ringBudgetBytes, volumes }: Needing): number {
  return ringBudgetBytes + VOLUMES_AT_ONCE * (volumes?.maxBytes ?? 0);
}

/**
 * Whether one more customer fits, before anything is signed: its ring beside the rings of the others, which may all fill up at
 * once, on the disk that is really free, and a process for its service in the memory that is, where it runs one.
 * @throws AntirioError storageFull | busy
 */
export function checkRoom(terms: Needing, others: readonly Needing[], spare: Spare): void {
  const reserved = others.reduce((sum, one) => sum + diskOf(one), 0);
  const wanted = diskOf(terms);
  if (reserved + wanted + DISK_KEPT > spare.disk)
    throw new AntirioError('storageFull', `no room for a ring and volumes of ${wanted} bytes`, {
      free: spare.disk,
      reserved,
      kept: DISK_KEPT,
    });
  if (!keepsOnly(terms) && spare.memory < MEMORY_LEAST)
    throw new AntirioError('busy', 'no memory for another service', {
      free: spare.memory,
      least: MEMORY_LEAST,
    });
}

/**
 * Downlinks name a DevAddr, and the fence of an edge one set for each: the second set with it could never be acted for.
 * @throws AntirioError conflict
 */
export function checkAddresses(
  { set }: Pick<ContractTerms, 'set'>,
  others: readonly Pick<ContractTerms, 'set'>[],
): void {
  const ours = new Set(set.devices.map(({ devAddr }) => devAddr));
  for (const other of others) {
    if (other.set.setId === set.setId) continue;
    const shared = other.set.devices.find(({ devAddr }) => ours.has(devAddr));
    if (shared !== undefined)
      throw new AntirioError(
        'conflict',
        `a device of another set here has the DevAddr ${shared.devAddr}: nobody could act for both`,
      );
  }
}

/** Whether this edge takes part in one more contract. */
export interface Admission {
  /** How many are under way: those that are over do not count, whatever they still wait for. */
  readonly live: () => number;
  /** @throws AntirioError busy when no more contracts are admitted. */
  readonly admit: () => void;
  /** @throws AntirioError storageFull | busy where this machine has no room for another customer. */
  readonly admitCustomer: (terms: ContractTerms) => Promise<void>;
}

export function createAdmission(ports: {
  readonly options: Pick<ArbitratorOptions, 'dataDir' | 'maxContracts'>;
  readonly rooms: Pick<PartyRooms, 'keptBytes'>;
  readonly drivers: ReadonlyMap<string, Standing>;
}): Admission {
  const { options, rooms, drivers } = ports;
  const alive = (): Standing[] => [...drivers.values()].filter((driver) => driver.phase().at !== 'ended');
  const termsOf = (some: readonly Standing[]): ContractTerms[] => some.map(({ terms }) => terms);
  const live = (): number => alive().length;
  return {
    live,
    admit() {
      if (live() >= options.maxContracts)
        throw new AntirioError('busy', `at most ${options.maxContracts} contracts at once`);
    },
    async admitCustomer(terms) {
      const kept = await rooms.keptBytes();
      checkAddresses(terms, termsOf(alive()));
      const serving = alive().filter(({ role }) => role === 'provider');
      checkRoom(terms, termsOf(serving), spareOf(options.dataDir, kept));
    },
  };
}
