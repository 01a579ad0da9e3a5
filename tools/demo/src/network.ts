import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { FaultsInput } from '@antirio/fault-proxy';
import { DemoError } from './errors.ts';
import type { ProcessSpec } from './processes.ts';
import { talkWith, type Tool } from './command-line-process.ts';
import type { OwnProcess } from './processes.ts';
import { portOf, UDP_PORTS } from '@antirio/testing/port-offsets';

export const PARTIES = ['central', 'a', 'b'] as const;
/** The three processes of the product. */
export type PartyName = (typeof PARTIES)[number];
/** Further edges, where the story has them. */
export type ExtraName = 'c' | 'd';
export type AnyParty = PartyName | ExtraName;

/** Where one party reaches another: through the fault proxy, so that the way can be cut. */
export interface Way {
  readonly url: string;
  readonly udp: { readonly host: string; readonly port: number };
}

/** The network between the parties: real TCP and UDP through a proxy process. */
export interface Network {
  readonly tool: Tool;
  way(from: AnyParty, to: AnyParty): Way;
  /** Cuts a party off from all others; its gateway still reaches it. */
  cutOff(party: AnyParty): Promise<void>;
  /** Cuts only what a party sends, or only what is sent to it. */
  cutOneWay(party: AnyParty, which: 'outgoing' | 'incoming'): Promise<void>;
  /** How all ways from and to a party behave; datagrams alone get lost, streams lose nothing but time. */
  worsen(party: AnyParty, faults: FaultsInput): Promise<void>;
  /** All ways from and to it are as they were. */
  heal(party: AnyParty): Promise<void>;
}

const HOST = '127.0.0.1';

const readyEvent = z.looseObject({ links: z.array(z.looseObject({ name: z.string(), port: z.int() })) });

interface Link {
  readonly name: string;
  readonly kind: 'tcp' | 'udp';
  readonly groups: readonly string[];
  readonly target: { readonly host: string; readonly port: number };
}

const linkName = (from: AnyParty, to: AnyParty, kind: Link['kind']): string => `${from}-${to}-${kind}`;

export type Offsets = Readonly<Record<PartyName, number> & Partial<Record<ExtraName, number>>>;

/** One TCP and one UDP link for each ordered pair. */
export function linksOf(offsets: Offsets): Link[] {
  const all = Object.entries(offsets) as [AnyParty, number][];
  const pairs = all.flatMap(([from]) =>
    all.flatMap(([to, offset]) => (to === from ? [] : { from, to, offset })),
  );
  return pairs.flatMap(({ from, to, offset }) => {
    const groups = [from, to];
    const link = (kind: Link['kind'], port: number): Link => ({
      ...{ name: linkName(from, to, kind), kind, groups, target: { host: HOST, port } },
    });
    return [link('tcp', portOf('edge2edgePublic', offset)), link('udp', UDP_PORTS.datagrams + offset)];
  });
}

/** The proxy as a process; its links are in the configuration file. */
export function proxySpec(configFile: string): ProcessSpec {
  const main = path.join(path.dirname(fileURLToPath(import.meta.resolve('@antirio/fault-proxy'))), 'main.ts');
  return { name: 'fault-proxy', args: [main, '--config', configFile], talks: true };
}

/** Waits for the started proxy to listen. */
export async function openNetwork(proxy: OwnProcess): Promise<Network> {
  const tool = talkWith(proxy);
  const { links } = readyEvent.parse(await tool.next('ready', 20_000));
  const portOfLink = new Map(links.map(({ name, port }) => [name, port]));
  const port = (from: AnyParty, to: AnyParty, kind: Link['kind']): number => {
    const found = portOfLink.get(linkName(from, to, kind));
    if (found === undefined)
      throw new DemoError('badAnswer', `the proxy has no link ${linkName(from, to, kind)}`);
    return found;
  };
  return {
    tool,
    way: (from, to) => ({
      url: `http://${HOST}:${port(from, to, 'tcp')}`,
      udp: { host: HOST, port: port(from, to, 'udp') },
    }),
    async cutOff(party) {
      await tool.ask({ cmd: 'cut', group: party }, 'cut');
    },
    async cutOneWay(party, which) {
      for (const other of PARTIES.filter((one) => one !== party))
        for (const kind of ['tcp', 'udp'] as const) {
          const [there, back] =
            which === 'outgoing' ? (['toTarget', 'toClient'] as const) : (['toClient', 'toTarget'] as const);
          await tool.ask({ cmd: 'cut', link: linkName(party, other, kind), direction: there }, 'cut');
          await tool.ask({ cmd: 'cut', link: linkName(other, party, kind), direction: back }, 'cut');
        }
    },
    async worsen(party, faults) {
      await tool.ask({ cmd: 'set', group: party, faults }, 'set');
    },
    async heal(party) {
      await tool.ask({ cmd: 'heal', group: party }, 'heal');
    },
  };
}
