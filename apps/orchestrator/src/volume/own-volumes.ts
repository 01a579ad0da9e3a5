import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { callJson, parseInput } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { OwnBook, ownContract, type OwnContract, type OwnVolumePorts } from './own-book.ts';
import { OwnHome } from './own-home.ts';
import { OwnSnapshots } from './own-snapshots.ts';
import { once, type OwnVolumes } from './volume-records.ts';

/** As a customer: the volumes of the own service. */
export interface OwnRooms {
  all(): OwnVolumes[];
  /** What of the provider's epoch came home, for the statement. */
  homeOf(contractId: string, epoch: number): unknown;
  hurry(contractId: string): void;
  advance(): Promise<void>;
}

const contracts = z.looseObject({ contracts: z.array(ownContract) });

/** The provider serves, or is about to: nothing here is to write. */
const AWAY: ReadonlySet<string> = new Set(['yielded', 'recovering']);
/** What was kept only until all was settled goes. */
const SETTLED: ReadonlySet<string> = new Set(['guarded', 'ended']);
const AGAIN_MS = 2000;

type Named = Pick<OwnContract, 'contractId' | 'provider'>;

class Owns implements OwnRooms {
  readonly #book: OwnBook;
  readonly #snapshots: OwnSnapshots;
  readonly #home: OwnHome;
  /** After a failure, by contract; monotonic ms. */
  readonly #notBefore = new Map<string, number>();

  constructor(book: OwnBook) {
    this.#book = book;
    this.#snapshots = new OwnSnapshots(book);
    this.#home = new OwnHome(book);
  }

  all(): OwnVolumes[] {
    return this.#book.all();
  }

  homeOf(contractId: string, epoch: number): unknown {
    const home = this.#book.of(contractId)?.home;
    if (home?.epoch !== epoch) return { state: 'waits' };
    const { outcome: state, cid, size, reason } = home;
    return { state, reason, volumes: state === 'restored' ? { cid, size } : undefined };
  }

  hurry(contractId: string): void {
    this.#snapshots.hurry(contractId);
  }

  async advance(): Promise<void> {
    const { options, peers } = this.#book.ports;
    const has = { ...options.volumes, ...options.configuration.namedVolumes };
    if (Object.keys(has).length === 0 && this.all().length === 0) return;
    const answer = await callJson(peers().arbitrator, { path: '/arbitrator/v1/volume' });
    const found = parseInput(contracts, answer).contracts;
    for (const contract of found) await this.#try(contract);
    const live = new Set(found.map(({ contractId }) => contractId));
    for (const one of this.all()) if (!live.has(one.contractId)) await this.#end(one);
  }

  async #try(contract: OwnContract): Promise<void> {
    const { contractId } = contract;
    const { clock, log } = this.#book.ports;
    if (clock.monotonic() < (this.#notBefore.get(contractId) ?? -Infinity)) return;
    try {
      await this.#step(contract);
      const { failed, ...well } = this.#book.known(contract);
      if (failed !== undefined) this.#book.put(well);
    } catch (error) {
      const known = this.#book.known(contract);
      const reason = describeError(error);
      if (known.failed?.reason !== reason)
        log.warn({ contractId, error: reason }, 'the volumes of our service');
      this.#book.put({ ...known, failed: once(known.failed, reason, clock.now()) });
      this.#notBefore.set(contractId, clock.monotonic() + AGAIN_MS);
    }
  }

  async #step(contract: OwnContract): Promise<void> {
    const { phase, providerEpoch } = contract;
    if (phase === 'ended') return this.#end(contract);
    if (AWAY.has(phase)) return this.#leave(contract);
    if (providerEpoch !== undefined && this.#book.known(contract).home?.epoch !== providerEpoch) {
      const leave = (): Promise<void> => this.#leave(contract);
      if (!(await this.#home.bringHome(contract, providerEpoch, leave))) return;
      this.hurry(contract.contractId);
    }
    await this.#comeBack(contract);
    await this.#clear(contract, SETTLED.has(phase));
    await this.#snapshots.look(contract);
    await this.#snapshots.announce(contract);
  }

  /** Nobody here is to write there any more. Done again after a crash: the operator's commands are to bear that. */
  async #leave(contract: OwnContract): Promise<void> {
    if (this.#book.known(contract).away === true) return;
    await this.#book.hook('stop', contract);
    this.#book.put({ ...this.#book.known(contract), away: true });
  }

  async #comeBack(contract: Named): Promise<void> {
    if (this.#book.known(contract).away !== true) return;
    await this.#book.hook('start', contract);
    const { away: _over, ...here } = this.#book.known(contract);
    this.#book.put(here);
  }

  /** Lets go of what is of no use any more. A conflict is over when somebody has taken its folder away. */
  async #clear(contract: Named, isSettled: boolean): Promise<void> {
    const known = this.#book.known(contract);
    const over = isSettled ? known.kept.filter(({ conflict }) => !conflict) : [];
    for (const { path } of over) rmSync(path, { recursive: true, force: true });
    for (const cid of known.letGo) await this.#book.ports.objects().drop(cid);
    const kept = known.kept.filter(({ path }) => existsSync(path));
    if (kept.length < known.kept.length || known.letGo.length > 0)
      this.#book.put({ ...known, kept, letGo: [] });
  }

  /** The contract is over: nothing but a conflict stays. */
  async #end(contract: Named): Promise<void> {
    const { contractId } = contract;
    if (this.#book.of(contractId) === undefined) return;
    await this.#comeBack(contract);
    const { newest, ...rest } = this.#book.known(contract);
    if (newest !== undefined) this.#book.put({ ...rest, letGo: [...rest.letGo, newest.signed.body.cid] });
    await this.#clear(contract, true);
    if (this.#book.known(contract).kept.length > 0) return;
    rmSync(join(this.#book.ports.dataDir, 'volumes', `own-${contractId}`), { recursive: true, force: true });
    this.#book.ports.store.volumes.remove(rest.key);
  }
}

export function ownVolumes(ports: OwnVolumePorts): OwnRooms {
  return new Owns(new OwnBook(ports));
}
