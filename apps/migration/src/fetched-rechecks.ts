import { describeError, isAntirioError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { longestUnchecked, unreadable, type IsDue } from './checks.ts';
import { archiveName, hasLostArchive, hasWholeArchive, serviceArchiveName } from './fetched-archives.ts';
import { cidsOf, type FetchRecord, type Records } from './records.ts';
import type { StorageClient } from './storage-client.ts';

interface FetchedRechecksPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly records: Records;
  readonly storage: StorageClient;
  /** Of what is not being let go. */
  change(contractId: string, change: Partial<FetchRecord>): void;
  isWanted(contractId: string): boolean;
  /** Begins the work on a contract whose state says that it has some. */
  fetchAgain(contractId: string): void;
}

const wasWhole = ({ state, retrievable }: FetchRecord): boolean =>
  state === 'DOWNLOADED' || (state === 'FAILED' && retrievable !== undefined);

/** Whether images of customers are still whole, and what is done where they are not. */
export class FetchedRechecks {
  readonly #given: FetchedRechecksPorts;

  constructor(given: FetchedRechecksPorts) {
    this.#given = given;
  }

  /** Each that is due, those first that were not looked at for the longest. */
  async run(isDue: IsDue): Promise<void> {
    const all = longestUnchecked(this.#given.records.fetched.all(), (fetched) => fetched.retrievable);
    for (const fetched of all) {
      const { contractId, retrievable, createdAt } = fetched;
      if (hasLostArchive(fetched))
        this.#given.change(contractId, {
          state: 'READY2DOWNLOAD',
          archive: undefined,
          archiveSha256: undefined,
        });
      if (wasWhole(fetched) && isDue(`fetched/${contractId}`, retrievable?.checkedAt ?? createdAt))
        await this.#recheckOne(fetched).catch(unreadable(this.#given.log, { contractId }));
    }
  }

  async #recheckOne(fetched: FetchRecord): Promise<void> {
    const { contractId } = fetched;
    try {
      await this.#read(fetched);
      this.#noteChecked(contractId);
    } catch (lost) {
      if (!isAntirioError(lost, 'corrupt')) throw lost;
      await this.#mend(fetched, describeError(lost));
    }
  }

  /** Every block. @throws AntirioError corrupt */
  async #read(fetched: FetchRecord): Promise<void> {
    for (const cid of cidsOf(fetched)) await this.#given.storage.sample(cid, 1);
  }

  /** What is ready stays ready as long as its archive is whole: that is what it is loaded from, and every block can be made of it. */
  async #mend(fetched: FetchRecord, error: string): Promise<void> {
    const { log } = this.#given;
    const { contractId } = fetched;
    if (!(await hasWholeArchive(fetched))) {
      log.warn({ contractId, error }, 'a customer’s image is not whole any more: fetched again');
      this.#noteChecked(contractId, error, 'FETCHING');
      this.#given.fetchAgain(contractId);
      return;
    }
    log.warn(
      { contractId, error },
      'blocks of a customer’s image are not whole any more: made of its archive',
    );
    this.#noteChecked(contractId, error, 'DOWNLOADED');
    try {
      await this.#mendFromArchive(fetched);
      await this.#read(fetched);
      this.#noteChecked(contractId);
    } catch (cause) {
      log.warn({ contractId, error: describeError(cause) }, 'they could not be: the customer is asked');
      await this.#askAgain(fetched);
    }
  }

  async #mendFromArchive(fetched: FetchRecord): Promise<void> {
    const { contractId, imageCid, configCid, configuration, services = [] } = fetched;
    const { storage, log } = this.#given;
    // A configuration that is written otherwise than here comes from the customer only
    await storage.mend(configCid, { json: configuration }).catch(unreadable(log, { contractId, configCid }));
    await storage.mend(imageCid, { fileName: archiveName(contractId) });
    for (const one of services)
      await storage.mend(one.imageCid, { fileName: serviceArchiveName(contractId, one.name) });
  }

  /** Comes in the background; whether it did is seen by the next check. */
  async #askAgain(fetched: FetchRecord): Promise<void> {
    for (const cid of cidsOf(fetched))
      if (this.#given.isWanted(fetched.contractId)) await this.#given.storage.fetch(cid, fetched.providers);
  }

  #noteChecked(contractId: string, error?: string, state?: FetchRecord['state']): void {
    const checkedAt = this.#given.clock.now();
    const retrievable = error === undefined ? { ok: true, checkedAt } : { ok: false, checkedAt, error };
    this.#given.change(contractId, {
      retrievable,
      ...(state === undefined ? {} : { state, error: undefined }),
    });
  }
}
