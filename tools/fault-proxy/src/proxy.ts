import type {
  CutInput,
  Direction,
  Faults,
  FaultsInput,
  LinkOptions,
  LinkOptionsInput,
  LinkState,
} from './faults.ts';
import type { DirectionCounters, Endpoint, Link } from './link.ts';
import { FaultProxyError } from './errors.ts';
import { DIRECTIONS, mergeFaults, parseCut, parseLink } from './faults.ts';
import { resolveEndpoint } from './link.ts';
import { openTcpLink } from './tcp-link.ts';
import { openUdpLink } from './udp-link.ts';

/** Which links a switch is for. */
export type LinkSelector = { readonly link: string } | { readonly group: string } | { readonly all: true };

/** A link as it stands. */
export interface LinkStatus {
  readonly name: string;
  readonly kind: 'tcp' | 'udp';
  readonly groups: readonly string[];
  /** Where it listens. */
  readonly host: string;
  readonly port: number;
  readonly target: Endpoint;
  readonly cut: LinkState['cut'] | null;
  readonly faults: Readonly<Record<Direction, Faults>>;
  readonly counters: Readonly<Record<Direction, DirectionCounters>>;
  readonly peers: Readonly<Record<string, number>>;
}

/**
 * Relays of real TCP and UDP whose network can be made bad at run time. Of several switches on one link the last holds.
 * All that take a selector throw `unknownLink` where it selects nothing.
 */
export interface FaultProxy {
  /** Throws `badOptions`, `linkExists`, `badTarget`, `cannotListen`. */
  addLink(options: LinkOptionsInput): Promise<LinkStatus>;
  /** Closes a link and resets its connections. */
  removeLink(name: string): Promise<void>;
  /** Throws `badOptions`. */
  cut(selector: LinkSelector, cut?: CutInput): void;
  /** Changes how links behave while not cut, in one direction or both. Throws `badOptions`. */
  setFaults(selector: LinkSelector, faults: FaultsInput, direction?: Direction | 'both'): void;
  /** Ends the cut and goes back to the faults the link was added with. */
  heal(selector: LinkSelector): void;
  /** Throws `badTarget`. */
  retarget(name: string, host: string, port: number): Promise<void>;
  status(): LinkStatus[];
  close(): Promise<void>;
}

/** What a proxy is given from outside. */
export interface FaultProxyPorts {
  /** Uniform in [0, 1); `Math.random` by default. */
  readonly random?: () => number;
}

interface Entry {
  readonly options: LinkOptions;
  readonly state: LinkState;
  readonly link: Link;
  target: Endpoint;
}

const freshFaults = ({ faults }: LinkOptions): Record<Direction, Faults> => ({
  toTarget: { ...faults },
  toClient: { ...faults },
});

const isSelected = ({ options }: Entry, selector: LinkSelector): boolean => {
  if ('link' in selector) return options.name === selector.link;
  return 'group' in selector ? options.groups.includes(selector.group) : true;
};

class SwitchedProxy implements FaultProxy {
  // Undefined while a link of that name is being opened.
  readonly #entries = new Map<string, Entry | undefined>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  async addLink(input: LinkOptionsInput): Promise<LinkStatus> {
    const options = parseLink(input);
    if (this.#entries.has(options.name)) {
      throw new FaultProxyError('linkExists', `there is a link ${options.name} already`);
    }
    this.#entries.set(options.name, undefined);
    try {
      const target = await resolveEndpoint(options.target.host, options.target.port);
      const state: LinkState = { cut: undefined, faults: freshFaults(options) };
      const open = options.kind === 'tcp' ? openTcpLink : openUdpLink;
      const link = await open({ options, state, target, random: this.#random });
      if (!this.#entries.has(options.name)) {
        await link.close();
        throw new FaultProxyError('unknownLink', `the proxy was closed while ${options.name} was opened`);
      }
      const entry = { options, state, link, target };
      this.#entries.set(options.name, entry);
      return this.#statusOf(entry);
    } catch (error) {
      this.#entries.delete(options.name);
      throw error;
    }
  }

  async removeLink(name: string): Promise<void> {
    const [entry] = this.#select({ link: name });
    this.#entries.delete(name);
    await entry?.link.close();
  }

  cut(selector: LinkSelector, input: CutInput = {}): void {
    const cut = parseCut(input);
    for (const { state, link } of this.#select(selector)) {
      state.cut = cut;
      link.stateChanged();
    }
  }

  setFaults(selector: LinkSelector, faults: FaultsInput, direction: Direction | 'both' = 'both'): void {
    const changes = this.#select(selector).map(({ state, link }) => {
      const merged = { ...state.faults };
      for (const one of DIRECTIONS) {
        if (direction === 'both' || direction === one) merged[one] = mergeFaults(state.faults[one], faults);
      }
      return { state, link, merged };
    });
    for (const { state, link, merged } of changes) {
      state.faults = merged;
      link.stateChanged();
    }
  }

  heal(selector: LinkSelector): void {
    for (const { state, link, options } of this.#select(selector)) {
      if (state.cut?.onHeal === 'reset') link.resetAll();
      state.cut = undefined;
      state.faults = freshFaults(options);
      link.stateChanged();
    }
  }

  async retarget(name: string, host: string, port: number): Promise<void> {
    const target = await resolveEndpoint(host, port);
    for (const entry of this.#select({ link: name })) {
      entry.target = target;
      entry.link.retarget(target);
    }
  }

  status(): LinkStatus[] {
    return this.#opened().map((entry) => this.#statusOf(entry));
  }

  async close(): Promise<void> {
    const entries = this.#opened();
    this.#entries.clear();
    await Promise.all(entries.map(({ link }) => link.close()));
  }

  #opened(): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry !== undefined);
  }

  #select(selector: LinkSelector): Entry[] {
    const selected = this.#opened().filter((entry) => isSelected(entry, selector));
    if (selected.length === 0) {
      throw new FaultProxyError('unknownLink', `no link is selected by ${JSON.stringify(selector)}`);
    }
    return selected;
  }

  #statusOf({ options, state, link, target }: Entry): LinkStatus {
    return {
      name: options.name,
      kind: options.kind,
      groups: options.groups,
      host: options.listenHost,
      port: link.port,
      target,
      cut: state.cut ?? null,
      faults: structuredClone(state.faults),
      counters: structuredClone(link.counters),
      peers: { ...link.peers },
    };
  }
}

/** A proxy without links. */
export function createFaultProxy({ random = Math.random }: FaultProxyPorts = {}): FaultProxy {
  return new SwitchedProxy(random);
}
