import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError, describeError, verifyDocument } from '@antirio/kernel';
import {
  homeRule,
  homeWithinMs,
  signedSnapshot,
  VOLUME_SNAPSHOT_KIND,
  type HomeRule,
  type SignedSnapshot,
} from '@antirio/service-contract';
import { MOST_ENTRIES, type VolumeFolder } from './archive.ts';
import { isFinal, type OwnBook, type OwnContract } from './own-book.ts';
import { leftBeside, makeComing, ownerOf, placeOne } from './own-place.ts';
import { Patience } from './patience.ts';
import { unsealVolumes } from './sealed-file.ts';
import { digestTree } from './tree.ts';
import type { OwnVolumes } from './volume-records.ts';

const homeAnswer = z.looseObject({
  state: z.enum(['waits', 'none', 'home']),
  reason: z.string().optional(),
  snapshot: signedSnapshot.optional(),
});

/** Brings home what the provider's service left, and settles whose content takes the place. */
export class OwnHome {
  readonly #book: OwnBook;
  readonly #patience = new Patience();

  constructor(book: OwnBook) {
    this.#book = book;
  }

  /**
   * Whether it is settled what becomes of the provider's volumes of that epoch. Whatever fails, it is in the end: nothing else may keep
   * the own service from its volumes, nor the customer from its statement.
   * @param leave has the own service stop using them
   */
  async bringHome(contract: OwnContract, epoch: number, leave: () => Promise<void>): Promise<boolean> {
    this.#isLate(contract, epoch);
    try {
      await leave();
      if (await this.#bring(contract, epoch)) return true;
      if (!this.#isLate(contract, epoch)) return false;
      return this.#refuseHome(contract, epoch, 'the provider has not given what its service left');
    } catch (error) {
      if (!isFinal(error) && !this.#isLate(contract, epoch)) throw error;
      return this.#refuseHome(contract, epoch, describeError(error));
    }
  }

  async #bring(contract: OwnContract, epoch: number): Promise<boolean> {
    if (this.#book.known(contract).placing?.epoch === epoch) return this.#place(contract);
    const { state, reason, snapshot } = parseInput(
      homeAnswer,
      await this.#book.ask(contract, 'GET', `?epoch=${epoch}`),
    );
    if (state === 'none') return this.#settleHome(contract, { epoch, outcome: 'none', ...because(reason) });
    return snapshot !== undefined && (await this.#receive(contract, epoch, snapshot))
      ? this.#place(contract)
      : false;
  }

  /** Its clock begins with the first question. */
  #isLate(contract: OwnContract, epoch: number): boolean {
    const { contractId } = contract;
    const known = this.#book.known(contract);
    const { waiting: before } = known;
    const waited = this.#patience.waited(contractId, epoch, before, this.#book.ports.clock.monotonic());
    const size = before?.epoch === epoch ? before.size : undefined;
    if (Patience.isToBeWritten(before, waited))
      this.#book.put({ ...known, waiting: { ...waited, ...(size === undefined ? {} : { size }) } });
    const maxBytes = Object.values(this.#book.named(contractId)).reduce((sum, one) => sum + one.maxBytes, 0);
    return waited.ms > homeWithinMs({ maxBytes, ...(size === undefined ? {} : { size }) });
  }

  #refuseHome(contract: OwnContract, epoch: number, reason: string): boolean {
    const { contractId } = contract;
    this.#book.ports.log.error(
      { contractId, epoch, reason },
      'ALARM: our volumes did not come home; the own ones stay',
    );
    const { kept, ...known } = this.#book.known(contract);
    const beside = this.#book
      .placesHere(contractId)
      .flatMap(([volume, { path }]) => leftBeside(volume, path, epoch, known.placing !== undefined));
    // Whatever became of the command that stopped the own service, it is started again
    this.#book.put({ ...known, away: true, kept: [...kept, ...beside] });
    return this.#settleHome(contract, { epoch, outcome: 'refused', reason });
  }

  #settleHome(contract: OwnContract, home: Omit<NonNullable<OwnVolumes['home']>, 'at'>): boolean {
    const { placing: _done, waiting: _over, newest, ...known } = this.#book.known(contract);
    // Where the own content stays, the provider gets it anew: it is not to go on from its own
    const stamp = home.outcome === 'restored' ? newest?.stamp : '';
    const again = newest === undefined ? {} : { newest: { ...newest, stamp: stamp ?? '' } };
    this.#book.put({ ...known, ...again, home: { ...home, at: this.#book.ports.clock.now() } });
    return true;
  }

  /** Fetched, verified and unpacked beside the own folders: nothing of these is touched before. */
  async #receive(contract: OwnContract, epoch: number, snapshot: SignedSnapshot): Promise<boolean> {
    const { contractId, provider } = contract;
    const { body, by } = snapshot;
    const isOfIt = body.contractId === contractId && body.direction === 'home' && body.seq === epoch;
    if (!isOfIt || by !== provider || !verifyDocument(snapshot, VOLUME_SNAPSHOT_KIND))
      throw new AntirioError('unauthenticated', 'the provider has not signed for these volumes');
    const path = join(this.#book.dir(contractId), `home-${epoch}`);
    const { cid, size, sha256 } = body;
    const waits = this.#book.known(contract);
    if (waits.waiting !== undefined && waits.waiting.size !== size)
      this.#book.put({ ...waits, waiting: { ...waits.waiting, size } });
    const wanted = { cid, size, sha256, from: provider };
    if (!(await this.#book.ports.objects().bring(wanted, `volumes-${contractId}-came-${epoch}`, path)))
      return false;
    const folders = this.#book.folders(contractId);
    const targets = new Map(
      folders.map(({ name, dir, maxBytes }) => {
        return [name, { dir: makeComing(dir, epoch), maxBytes, owner: ownerOf(dir) }] as const;
      }),
    );
    const versions = body.keys.map(({ version }) => version);
    await unsealVolumes(path, body, this.#book.keysFor(contract, versions), targets);
    const rules: Record<string, HomeRule> = {};
    for (const folder of folders) rules[folder.name] = await this.#ruleFor(contract, body.base, folder);
    const known = this.#book.known(contract);
    this.#book.put({ ...known, placing: { epoch, snapshot, rules }, letGo: [...known.letGo, cid] });
    rmSync(path, { force: true });
    return true;
  }

  async #ruleFor(
    contract: OwnContract,
    base: number | undefined,
    { name, dir, maxBytes }: VolumeFolder,
  ): Promise<HomeRule> {
    const baseDigest = this.#book.known(contract).digests.find(({ seq }) => seq === base)?.by[name];
    let ownDigest: string | undefined;
    try {
      ownDigest = await digestTree(dir, { maxBytes, maxEntries: MOST_ENTRIES });
    } catch (error) {
      // What cannot be read as a volume is nothing that a snapshot ever had
      ownDigest = `unreadable: ${describeError(error)}`;
    }
    return homeRule({ base, baseDigest, ownDigest });
  }

  #place(contract: OwnContract): boolean {
    const known = this.#book.known(contract);
    const { placing, kept } = known;
    if (placing === undefined) return false;
    const { epoch, snapshot, rules } = placing;
    const { contractId } = contract;
    const beside = this.#book
      .places(contractId)
      .flatMap(([volume, { path }]) => placeOne({ volume, path, epoch, rule: rules[volume] ?? 'beside' }));
    const { cid, size } = snapshot.body;
    this.#book.put({
      ...known,
      kept: [...kept.filter((one) => !beside.some(({ path }) => path === one.path)), ...beside],
    });
    for (const { volume, path, conflict } of beside)
      if (conflict)
        this.#book.ports.log.error(
          { contractId, volume, path },
          'ALARM: both edges changed a volume: both contents are kept',
        );
    this.#book.ports.log.info({ contractId, epoch, cid, size }, 'our volumes have come home');
    return this.#settleHome(contract, { epoch, outcome: 'restored', cid, size });
  }
}

const because = (reason: string | undefined): { readonly reason?: string } =>
  reason === undefined ? {} : { reason };
