// Four organisations on one machine: each an application and a CometBFT node, as processes that can be killed.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import { httpPeer, silentLog, sleep, systemClock, systemRandom, waitFor } from '@antirio/host';
import type { Genesis } from '@antirio/ledger-machine';
import { createCometLedger, CometRpc, type CometLedger } from './index.ts';
import { writeFederation } from './federation-files.ts';

const APPLICATION = join(import.meta.dirname, 'application-host.fixture.ts');
const STARTED_WITHIN_MS = 120_000;
const ENDS_WITHIN_MS = 1000;

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

async function killed(child: ChildProcess | undefined): Promise<void> {
  child?.kill('SIGKILL');
  if (child !== undefined) await ended(child);
}

/** One organisation. */
export class Member {
  readonly home: string;
  readonly rpcUrl: string;
  readonly #program: string;
  #application: ChildProcess | undefined;
  #node: ChildProcess | undefined;

  constructor(program: string, home: string, rpcUrl: string) {
    this.#program = program;
    this.home = home;
    this.rpcUrl = rpcUrl;
  }

  get socket(): string {
    return join(this.home, 'app.sock');
  }

  #spawn(command: string, args: readonly string[], name: string): ChildProcess {
    const log = openSync(join(this.home, `${name}.log`), 'a');
    const child = spawn(command, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    return child;
  }

  /** Resolves when it is there: a node that does not find it looks again only seconds later. */
  async startApplication(): Promise<void> {
    rmSync(this.socket, { force: true });
    const args = [APPLICATION, join(this.home, 'application'), this.socket];
    this.#application = this.#spawn(process.execPath, args, 'application');
    await waitFor(systemClock, STARTED_WITHIN_MS, () => existsSync(this.socket) || undefined);
  }

  startNode(): void {
    this.#node = this.#spawn(this.#program, ['start', '--home', this.home], 'node');
  }

  async start(): Promise<void> {
    await this.startApplication();
    this.startNode();
  }

  killNode(): Promise<void> {
    return killed(this.#node);
  }

  /** A node that has lost its application ends by itself, or hangs in doing so, and is ended as a supervisor would. */
  async killApplication(): Promise<void> {
    await killed(this.#application);
    if (this.#node === undefined) return;
    await Promise.race([ended(this.#node), sleep(ENDS_WITHIN_MS)]);
    await killed(this.#node);
  }

  async kill(): Promise<void> {
    await Promise.all([killed(this.#application), killed(this.#node)]);
  }

  connect(submitMs = 60_000): CometLedger {
    const rpc = new CometRpc([httpPeer({ url: this.rpcUrl })]);
    const common = { clock: systemClock, random: systemRandom, log: silentLog };
    return createCometLedger({ rpc, submitMs, ...common });
  }
}

export interface FederationPorts {
  readonly p2p: number;
  readonly rpc: number;
}

/** Begins a federation in a folder; resolves when all of it makes blocks. */
export async function startFederation(
  program: string,
  folder: string,
  ledger: Genesis,
  ports: readonly FederationPorts[],
): Promise<Member[]> {
  const members = ports.map(
    ({ rpc }, i) => new Member(program, join(folder, String(i)), `http://127.0.0.1:${rpc}`),
  );
  writeFederation({
    nodes: Object.fromEntries(
      members.map((member, i) => [
        `member-${i}`,
        {
          home: member.home,
          dialled: `127.0.0.1:${ports[i]?.p2p ?? 0}`,
          p2pLaddr: `tcp://127.0.0.1:${ports[i]?.p2p ?? 0}`,
          rpcLaddr: `tcp://127.0.0.1:${ports[i]?.rpc ?? 0}`,
          proxyApp: `unix://${member.socket}`,
        },
      ]),
    ),
    chainId: 'antirio-test',
    genesisTime: new Date(systemClock.now()).toISOString(),
    ledger,
  });
  await Promise.all(members.map((member) => member.start()));
  for (const member of members) await reached(member, 2);
  return members;
}

/** Resolves when a member's node answers at this height. */
export async function reached(member: Member, height: number): Promise<void> {
  const ledger = member.connect();
  const at = await waitFor(
    systemClock,
    STARTED_WITHIN_MS,
    async () => {
      const head = await ledger.head().catch(() => undefined);
      return head !== undefined && head.height >= BigInt(height) ? head : undefined;
    },
    50,
  );
  ledger.close();
  if (at === undefined) throw new AntirioError('timeout', `${member.home} did not come to block ${height}`);
}
