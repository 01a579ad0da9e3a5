import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { fromHex, signDocument, toHex } from '@antirio/kernel';
import {
  isSnapshotDue,
  isWrappedFor,
  VOLUME_SNAPSHOT_KIND,
  type SignedSnapshot,
  type VolumeSnapshot,
} from '@antirio/service-contract';
import { stampOfAll, type VolumeFolder } from './archive.ts';
import type { OwnBook, OwnContract } from './own-book.ts';
import { sealVolumes, wrapKey } from './sealed-file.ts';
import { once } from './volume-records.ts';

const offered = z.looseObject({
  held: z.int(),
  refused: z.string().optional(),
  trouble: z.string().optional(),
});

const ANNOUNCE_EVERY_MS = 1000;
const DIGESTS_KEPT = 32;

/** Takes snapshots of the own volumes and has the provider fetch them. */
export class OwnSnapshots {
  readonly #book: OwnBook;
  readonly #hurried = new Set<string>();
  readonly #announced = new Map<
    string,
    { readonly signature: string; readonly at: number; readonly heard: boolean }
  >();

  constructor(book: OwnBook) {
    this.#book = book;
  }

  hurry(contractId: string): void {
    this.#hurried.add(contractId);
  }

  /** Takes one where it is time and anything has changed. */
  async look(contract: OwnContract): Promise<void> {
    const { contractId, keyVersion } = contract;
    const { clock } = this.#book.ports;
    const known = this.#book.known(contract);
    const { newest, lookedAt } = known;
    if (newest !== undefined && !isWrappedFor(newest.signed.body.keys, keyVersion)) this.#rewrap(contract);
    const everyS = Math.min(...Object.values(this.#book.named(contractId)).map((one) => one.everyS));
    const isDue = isSnapshotDue(clock.now(), everyS, lookedAt) || this.#hurried.has(contractId);
    if (!isDue) return;
    const folders = this.#book.folders(contractId);
    if ((await stampOfAll(folders)) === newest?.stamp)
      this.#book.put({ ...this.#book.known(contract), lookedAt: clock.now() });
    else await this.#take(contract, folders);
    this.#hurried.delete(contractId);
  }

  #rewrap(contract: OwnContract): void {
    const known = this.#book.known(contract);
    const { newest } = known;
    if (newest === undefined) return;
    const { keys: _older, ...body } = newest.signed.body;
    const signed = this.#sign(body, fromHex(newest.contentKey, 32), contract);
    this.#book.put({ ...known, newest: { ...newest, signed } });
  }

  #sign(body: Omit<VolumeSnapshot, 'keys'>, contentKey: Uint8Array, contract: OwnContract): SignedSnapshot {
    const { identity, random } = this.#book.ports;
    const keys = wrapKey(body, contentKey, this.#book.keysFor(contract), random);
    return {
      ...signDocument(identity(), VOLUME_SNAPSHOT_KIND, { ...body, keys }),
      kind: VOLUME_SNAPSHOT_KIND,
    };
  }

  /** Its number is on the disk before it is used: none is used twice. */
  async #take(contract: OwnContract, folders: readonly VolumeFolder[]): Promise<void> {
    const { contractId } = contract;
    const { clock, objects, random, log } = this.#book.ports;
    const { seq } = this.#book.put({
      ...this.#book.known(contract),
      seq: this.#book.known(contract).seq + 1,
    });
    const path = join(this.#book.dir(contractId), 'taking');
    await this.#book.hook('quiesce', contract);
    const takenAt = clock.now();
    const sealed = await sealVolumes(folders, path, random).finally(() =>
      this.#book.hook('resume', contract),
    );
    const { contentKey, packed, size, sha256 } = sealed;
    const cid = await objects().put(`volumes-${contractId}-${seq}`, path);
    rmSync(path, { force: true });
    const about = { contractId, direction: 'guard', seq, takenAt, cid, size, sha256 } as const;
    const signed = this.#sign(about, contentKey, contract);
    const known = this.#book.known(contract);
    const older = known.newest === undefined ? [] : [known.newest.signed.body.cid];
    const { stamp, bytes, digests: by } = packed;
    this.#book.put({
      ...known,
      newest: { signed, contentKey: toHex(contentKey), stamp, bytes },
      lookedAt: takenAt,
      digests: [...known.digests, { seq, by }].slice(-DIGESTS_KEPT),
      letGo: [...known.letGo, ...older],
    });
    log.info({ contractId, seq, bytes, size }, 'a snapshot of our volumes');
  }

  /** Until the provider holds it. */
  async announce(contract: OwnContract): Promise<void> {
    const { newest, held } = this.#book.known(contract);
    if (newest === undefined || !this.#isToBeTold(contract, newest.signed, held?.seq)) return;
    const { contractId } = contract;
    const { signature, body } = newest.signed;
    const at = this.#book.ports.clock.monotonic();
    this.#announced.set(contractId, { signature, at, heard: false });
    const said = parseInput(offered, await this.#book.ask(contract, 'POST', '', { snapshot: newest.signed }));
    this.#announced.set(contractId, { signature, at, heard: said.refused === undefined });
    this.#note(contract, body.seq, said);
  }

  #isToBeTold({ contractId }: OwnContract, { signature, body }: SignedSnapshot, held = 0): boolean {
    const before = this.#announced.get(contractId);
    if (before?.signature === signature && before.heard && held === body.seq) return false;
    return this.#book.ports.clock.monotonic() - (before?.at ?? -Infinity) >= ANNOUNCE_EVERY_MS;
  }

  #note(contract: OwnContract, seq: number, { held, refused, trouble }: z.output<typeof offered>): void {
    const now = this.#book.ports.clock.now();
    const { refused: before, ...known } = this.#book.known(contract);
    const reason = refused ?? trouble;
    const isNews = reason !== before?.reason;
    if (held !== seq && !isNews) return;
    this.#book.put({
      ...known,
      ...(held === seq ? { held: { seq, at: now } } : {}),
      ...(reason === undefined ? {} : { refused: once(before, reason, now) }),
    });
  }
}
