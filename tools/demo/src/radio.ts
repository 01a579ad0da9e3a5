import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { talkWith, type Tool } from './command-line-process.ts';
import type { AnyParty } from './network.ts';
import type { DemoOptions } from './options.ts';
import { UDP_PORTS } from '@antirio/testing/port-offsets';
import type { OwnProcess, ProcessSpec } from './processes.ts';

/** EUIs of the gateways, by the edge whose they are. */
export const GATEWAYS = {
  a: '0016c001ff10a001',
  b: '0016c001ff10b001',
  c: '0016c001ff10c001',
} as const;

/** Of an edge; the centre has none, and who keeps nothing but keys hears nothing. */
export function gatewayOf(party: AnyParty): string | undefined {
  return party === 'central' || party === 'd' ? undefined : GATEWAYS[party];
}

/** Where the motes' application is told to join anew. */
export const REJOIN_PORT = 200;

/** Configuration of the simulator: N motes, and a gateway at each edge that listens, with radio losses of its own. */
export function simulatorConfig(
  { motes, seed, periodMs, loss, otaa, answersMac }: DemoOptions,
  offsets: { readonly a: number; readonly b: number; readonly c?: number },
): Record<string, unknown> {
  const gateways = (['a', 'b', 'c'] as const).flatMap((edge) => {
    const offset = offsets[edge];
    return offset === undefined ? [] : { id: GATEWAYS[edge], port: UDP_PORTS.gateway + offset, loss };
  });
  // Confirmed uplinks have the edges answer, whether or not they may read what they answer: the fence is never idle.
  const common = { seed, motes, periodMs, confirmedUplinks: 0.1, gateways };
  if (otaa === 0) return answersMac ? { ...common, mac: 'answered' } : common;
  return { ...common, otaa, mac: 'answered', rejoinPort: REJOIN_PORT };
}

/** The files of a simulation. */
export interface RadioFiles {
  readonly config: string;
  readonly truth: string;
  readonly devices: string;
}

export function simulatorSpec({ config, truth, devices }: RadioFiles): ProcessSpec {
  const main = path.join(
    path.dirname(fileURLToPath(import.meta.resolve('@antirio/lora-simulator'))),
    'main.ts',
  );
  return {
    name: 'lora-simulator',
    args: [main, '--config', config, '--log', truth, '--export-devices', devices],
    talks: true,
  };
}

/** The motes and their radio. */
export interface Radio {
  readonly tool: Tool;
  start(): Promise<void>;
  /** Silences the motes for good; resolves when nothing is on its way any more. */
  stopTraffic(): Promise<void>;
  /** Silences the motes; resolves when nothing can be on its way any more. */
  pause(): Promise<void>;
}

// Receive windows are open for two seconds after an uplink, then acknowledgements are waited for.
const DRAIN_MS = 15_000;

/** Waits for the started simulator to be ready. */
export async function openRadio(simulator: OwnProcess): Promise<Radio> {
  const tool = talkWith(simulator);
  await tool.next('ready', 20_000);
  return radioOf(tool);
}

/** The radio of a simulator that is ready. */
export function radioOf(tool: Tool): Radio {
  return {
    tool,
    async start() {
      await tool.ask({ cmd: 'start' }, 'started');
    },
    async stopTraffic() {
      await tool.ask({ cmd: 'stopTraffic' }, 'drained', DRAIN_MS);
    },
    async pause() {
      await tool.ask({ cmd: 'pause' }, 'paused');
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    },
  };
}

const QUIET_MS = 4_000;
