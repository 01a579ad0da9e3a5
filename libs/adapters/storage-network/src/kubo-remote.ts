import { decodeCid, placeKey, type CID } from '@antirio/content-store';
import { describeError } from '@antirio/kernel';
import type { KuboNodes } from './kubo-nodes.ts';
import type { PinningService, RemotePin } from './pinning-service.ts';

/** What a pinning service is asked to hold of what nodes hold. */
export class KuboRemote {
  readonly #service: PinningService;
  readonly #nodes: KuboNodes;
  readonly #ownPrefix: string;

  /** @param ownPrefix of the names of our pins: those of others are left alone */
  constructor(service: PinningService, nodes: KuboNodes, ownPrefix: string) {
    this.#service = service;
    this.#nodes = nodes;
    this.#ownPrefix = ownPrefix;
  }

  get name(): string {
    return this.#service.name;
  }

  /** Has it pin what the nodes hold, unless it was asked before. */
  async request(cid: CID, name: string): Promise<void> {
    const ours = await this.#ours(cid);
    if (ours.some((pin) => pin.status !== 'failed')) return;
    const asked = await this.#nodes.each((node) => node.addresses());
    const origins = asked.done.flatMap(({ value }) => value);
    const { delegates } = await this.#service.add({ cid: cid.toString(), name, origins });
    for (const pin of ours) await this.#service.remove(pin.requestid);
    await this.#nodes.each((node) => Promise.all(delegates.map((delegate) => node.connect(delegate))));
  }

  async letGo(cid: CID): Promise<void> {
    for (const pin of await this.#ours(cid)) await this.#service.remove(pin.requestid);
  }

  /** Takes back what we asked for besides this; what `present` tells of is the same request at the same service. */
  async keepOnly(kept: readonly CID[], present: KuboRemote | undefined): Promise<void> {
    const theirs = present === undefined ? [] : await present.#named();
    const left = new Set(theirs.map(({ requestid }) => requestid));
    const wanted = new Set(kept.map(placeKey));
    for (const { requestid, pin } of await this.#named())
      if (!left.has(requestid) && !wanted.has(placeKey(decodeCid(pin.cid))))
        await this.#service.remove(requestid);
  }

  async #named(): Promise<RemotePin[]> {
    return this.#areOurs(await this.#service.named(this.#ownPrefix));
  }

  /** `pinned`, or what it is instead. */
  async status(cid: CID): Promise<string> {
    try {
      const pins = await this.#ours(cid);
      const order = ['pinned', 'pinning', 'queued', 'failed'];
      return order.find((status) => pins.some((pin) => pin.status === status)) ?? 'was not asked';
    } catch (error) {
      return describeError(error);
    }
  }

  /** Undefined where it is well, else what is wrong. */
  async ailment(): Promise<string | undefined> {
    return this.#service.requireWell().then(
      () => undefined,
      (error: unknown) => describeError(error),
    );
  }

  close(): void {
    this.#service.close();
  }

  async #ours(cid: CID): Promise<RemotePin[]> {
    return this.#areOurs(await this.#service.list(cid.toString()));
  }

  #areOurs(pins: readonly RemotePin[]): RemotePin[] {
    return pins.filter((pin) => pin.pin.name?.startsWith(this.#ownPrefix) === true);
  }
}
