import type { Engine } from './engine.ts';
import type { Host } from './host.ts';
import type { Dice } from './random.ts';
import type { Trace } from './trace.ts';

/** One direction between two hosts. */
export interface Link {
  cut: boolean;
  /** Of datagrams; a stream gets slower instead. */
  loss: number;
  duplication: number;
  latencyMs: number;
  jitterMs: number;
  /** Of calls: the connection breaks, and the caller does not know whether it was served. */
  resets: number;
}

export type CallResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly retryInMs?: number };

/** What a server is given to answer with; only the first answer counts. */
export type Reply<T> = (result: CallResult<T>) => void;

/** A datagram as somebody on the way could record it. */
export interface Recorded {
  readonly kind: string;
  readonly from: string;
  readonly to: string;
  readonly id: number;
  readonly deliver: () => void;
}

export interface Network {
  link(from: string, to: string): Link;
  /** Unordered, lost at will, sometimes twice. */
  send(from: Host, to: Host, kind: string, deliver: () => void): void;
  /** A request and its answer over a stream: slow where the link is bad, hanging where it is cut. */
  call<T>(from: Host, to: Host, timeoutMs: number, serve: (reply: Reply<T>) => void, done: Reply<T>): void;
  /** Called with every datagram on its way; true where it goes no further. */
  tap(listen: (datagram: Recorded) => boolean): void;
  /** Brings a recorded datagram to its address once more. */
  replay(datagram: Recorded): void;
  links(): Iterable<readonly [string, Link]>;
}

const RESEND_MS = 250;
/** A process that dies closes its connections; a machine without power does not. */
const HUNG_UP = 0.7;
const REFUSED: CallResult<never> = { ok: false, code: 'unavailable' };

export function createNetwork(
  engine: Engine,
  trace: Trace,
  dice: Dice,
  blockDice: Dice,
  hosts: ReadonlyMap<string, Host>,
): Network {
  const links = new Map<string, Link>();
  const seen = new WeakMap<Host, { readonly incarnation: number; readonly ids: Set<number> }>();
  let nextId = 0;
  let listen: (datagram: Recorded) => boolean = () => false;

  // looked up for every datagram: without a key to be put together each time
  const linksFrom = new Map<string, Map<string, Link>>();
  const linkOf = (from: string, to: string): Link => {
    const known = linksFrom.get(from)?.get(to);
    if (known !== undefined) return known;
    const link: Link = { cut: false, loss: 0, duplication: 0, latencyMs: 5, jitterMs: 2, resets: 0 };
    linksFrom.set(from, (linksFrom.get(from) ?? new Map<string, Link>()).set(to, link));
    links.set(`${from}>${to}`, link);
    return link;
  };
  const delayOf = ({ latencyMs, jitterMs }: Link, by = dice): number => latencyMs + by.next() * jitterMs;

  // As edge2edge does: no datagram twice for one start of the receiver.
  const isNew = (to: Host, id: number): boolean => {
    const { incarnation } = to;
    const known = seen.get(to);
    const ids = known?.incarnation === incarnation ? known.ids : new Set<number>();
    if (known?.ids !== ids) seen.set(to, { incarnation, ids });
    if (ids.has(id)) return false;
    ids.add(id);
    return true;
  };
  const arrive = ({ from, to, id, deliver }: Recorded): void => {
    const host = hosts.get(to);
    if (host === undefined) return;
    host.arrive(() => {
      if (!isNew(host, id)) return;
      trace.note(to, 'hears', () => from, 'fine');
      deliver();
    });
  };
  // of their own stream: the rest of a seed's world is much the same with them and without
  const diceFor = (kind: string): Dice => (kind.startsWith('blocks') ? blockDice : dice);
  const fly = (datagram: Recorded): void => {
    const link = linkOf(datagram.from, datagram.to);
    const by = diceFor(datagram.kind);
    if (link.cut || by.chance(link.loss)) return;
    engine.after(delayOf(link, by), () => {
      arrive(datagram);
    });
  };

  /** One leg of a call: keeps trying, as a stream does, until `until`. */
  const carry = (from: string, to: string, until: number, deliver: () => void): void => {
    if (engine.now > until) return;
    const link = linkOf(from, to);
    if (link.cut || dice.chance(link.loss)) {
      engine.after(link.cut ? RESEND_MS : RESEND_MS / 2, () => {
        carry(from, to, until, deliver);
      });
      return;
    }
    engine.after(delayOf(link), deliver);
  };

  return {
    link: linkOf,
    links: () => links,
    tap: (listener) => {
      listen = listener;
    },
    replay: (datagram) => {
      arrive(datagram);
    },
    send(from, to, kind, deliver) {
      const datagram = { kind, from: from.name, to: to.name, id: nextId++, deliver };
      if (listen(datagram)) return;
      fly(datagram);
      if (diceFor(kind).chance(linkOf(from.name, to.name).duplication)) fly(datagram);
    },
    call<T>(from: Host, to: Host, timeoutMs: number, serve: (reply: Reply<T>) => void, done: Reply<T>) {
      const caller = from.incarnation;
      const until = engine.now + timeoutMs;
      let settled = false;
      const finish = (result: CallResult<T>): void => {
        if (settled || from.incarnation !== caller) return;
        settled = true;
        from.arrive(() => {
          done(result);
        });
      };
      engine.at(until, () => {
        finish({ ok: false, code: 'timeout' });
      });
      const back = (answer: CallResult<T>): void => {
        const result = dice.chance(linkOf(to.name, from.name).resets) ? REFUSED : answer;
        carry(to.name, from.name, until, () => {
          finish(result);
        });
      };
      if (dice.chance(linkOf(from.name, to.name).resets)) {
        engine.after(delayOf(linkOf(from.name, to.name)), () => {
          finish(REFUSED);
        });
        return;
      }
      carry(from.name, to.name, until, () => {
        const server = to.incarnation;
        const hangUp = (): void => {
          back(REFUSED);
        };
        const reached = to.arrive(() => {
          serve((result) => {
            to.deaths.delete(hangUp);
            if (to.incarnation === server) back(result);
          });
        });
        if (!reached) back(REFUSED);
        else if (dice.chance(HUNG_UP)) to.deaths.add(hangUp);
      });
    },
  };
}
