import { join } from 'node:path';
import { httpPeer, systemRandom, type Check, type Log } from '@antirio/host';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import { CometRpc, createCometLedger, type CometLedger } from '@antirio/ledger-cometbft';
import type { ServedLedger } from '@antirio/ledger-http';
import { openLocalLedger } from '@antirio/ledger-local';
import type { Genesis } from '@antirio/ledger-machine';
import type { CometbftEngine, LedgerOptions, LedgerPorts } from './options.ts';

/** A ledger that is open, whoever keeps it. */
export interface Engine {
  readonly ledger: ServedLedger;
  health(): Promise<Check>;
  close(): Promise<void>;
}

function toGenesis({ genesis }: LedgerOptions, { identity }: LedgerPorts): Genesis {
  const arbitrator = genesis.arbitrator ?? identity?.edgeId;
  if (arbitrator === undefined)
    throw new AntirioError(
      'badConfig',
      'ledger.genesis.arbitrator: needed where the process has no identity',
    );
  return { ...genesis, arbitrator };
}

async function openLocal(options: LedgerOptions, ports: LedgerPorts, log: Log): Promise<Engine> {
  const ledger = await openLocalLedger({
    path: join(options.dataDir, 'ledger', 'ledger.log'),
    genesis: toGenesis(options, ports),
    clock: ports.clock,
    log,
    eventsKept: options.eventsKept,
  });
  return {
    ledger,
    async health() {
      const { ok, detail } = ledger.health();
      const { height } = await ledger.head();
      const said = `local engine (an audit log, not a consensus), height ${String(height)}`;
      return { ok, detail: detail ?? said };
    },
    close: () => ledger.close(),
  };
}

/** A node whose application disagrees, or a federation without two thirds of itself, lives on and makes no blocks. */
class HeightWatch {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #stalledMs: number;
  #height = -1;
  #since = 0;

  constructor(clock: Pick<Clock, 'monotonic'>, stalledMs: number) {
    this.#clock = clock;
    this.#stalledMs = stalledMs;
  }

  /** How long no block has come, where that is too long. */
  stalledFor(height: number): number | undefined {
    const now = this.#clock.monotonic();
    if (height !== this.#height) [this.#height, this.#since] = [height, now];
    const still = now - this.#since;
    return still > this.#stalledMs ? still : undefined;
  }
}

async function cometHealth(ledger: CometLedger, watch: HeightWatch): Promise<Check> {
  try {
    const { height, catchingUp, chainId } = await ledger.status();
    const at = `federation ${chainId}, height ${height}`;
    if (catchingUp) return { ok: false, detail: `${at}: the node has not yet all blocks` };
    const still = watch.stalledFor(height);
    if (still === undefined) return { ok: true, detail: at };
    return {
      ok: false,
      detail: `${at}: no block for ${Math.round(still / 1000)} s, too few validators agree`,
    };
  } catch (error) {
    return { ok: false, detail: describeError(error) };
  }
}

function openCometbft(engine: CometbftEngine, { clock }: LedgerPorts, log: Log): Engine {
  const { rpcUrls, submitMs, stalledMs } = engine;
  const rpc = new CometRpc(rpcUrls.map((url) => httpPeer({ url })));
  const ledger = createCometLedger({ rpc, clock, random: systemRandom, log, submitMs });
  const watch = new HeightWatch(clock, stalledMs);
  return {
    ledger,
    health: () => cometHealth(ledger, watch),
    close: () => {
      ledger.close();
      return Promise.resolve();
    },
  };
}

/** @throws AntirioError corrupt, badConfig, where a local ledger cannot be opened */
export function openEngine(options: LedgerOptions, ports: LedgerPorts, log: Log): Promise<Engine> {
  const { engine } = options;
  if (engine.kind === 'local') return openLocal(options, ports, log);
  return Promise.resolve(openCometbft(engine, ports, log));
}
