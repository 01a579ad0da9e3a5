import { z } from 'zod';
import type { Simulator } from './simulator.ts';
import { positionSchema } from './config.ts';
import { SimulatorError } from './errors.ts';

const ratio = z.number().min(0).max(1);
const gateway = z.string();

const commandSchema = z.discriminatedUnion('cmd', [
  z.strictObject({ cmd: z.literal('start') }),
  z.strictObject({ cmd: z.literal('pause') }),
  z.strictObject({ cmd: z.literal('stopTraffic') }),
  z.strictObject({
    cmd: z.literal('gatewayTarget'),
    gateway,
    host: z.string().min(1),
    port: z.int().min(1).max(65_535),
  }),
  z.strictObject({
    cmd: z.literal('gatewayLoss'),
    gateway,
    loss: ratio.optional(),
    downlinkLoss: ratio.optional(),
  }),
  z.strictObject({ cmd: z.literal('rejoin'), mote: z.string().optional() }),
  z.strictObject({ cmd: z.literal('mote'), mote: z.string() }),
  z.strictObject({ cmd: z.literal('moveMote'), mote: z.string(), position: positionSchema }),
  z.strictObject({ cmd: z.literal('moveGateway'), gateway, position: positionSchema }),
  z.strictObject({ cmd: z.literal('status') }),
  z.strictObject({ cmd: z.literal('quit') }),
]);

/** One line on stdin. */
export type SimulatorCommand = z.output<typeof commandSchema>;

/** One line on stdout. */
export interface SimulatorEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Reads a command line. Throws `badCommand`. */
export function parseCommand(line: string): SimulatorCommand {
  try {
    return commandSchema.parse(JSON.parse(line));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new SimulatorError('badCommand', reason, { cause: error });
  }
}

type MoteCommand = Extract<SimulatorCommand, { cmd: 'rejoin' | 'mote' | 'moveMote' }>;
type GatewayCommand = Extract<SimulatorCommand, { cmd: 'gatewayTarget' | 'gatewayLoss' | 'moveGateway' }>;

function executeOnMote(simulator: Simulator, command: MoteCommand): SimulatorEvent {
  switch (command.cmd) {
    case 'rejoin':
      simulator.rejoin(command.mote);
      return { event: 'rejoin', ...(command.mote !== undefined && { mote: command.mote }) };
    case 'mote':
      return { event: 'mote', ...simulator.mote(command.mote) };
    case 'moveMote':
      simulator.moveMote(command.mote, command.position);
      return { event: 'moveMote', mote: command.mote };
  }
}

async function executeOnGateway(simulator: Simulator, command: GatewayCommand): Promise<SimulatorEvent> {
  switch (command.cmd) {
    case 'gatewayTarget':
      await simulator.retarget(command.gateway, command.host, command.port);
      return { event: 'gatewayTarget', gateway: command.gateway, host: command.host, port: command.port };
    case 'gatewayLoss':
      simulator.setLoss(command.gateway, command.loss, command.downlinkLoss);
      return { event: 'gatewayLoss', gateway: command.gateway };
    case 'moveGateway':
      simulator.moveGateway(command.gateway, command.position);
      return { event: 'moveGateway', gateway: command.gateway };
  }
}

/** Does a command, and gives the event that reports it. Throws what the simulator throws. */
export async function execute(simulator: Simulator, command: SimulatorCommand): Promise<SimulatorEvent> {
  if ('mote' in command) return executeOnMote(simulator, command);
  if ('gateway' in command) return executeOnGateway(simulator, command);
  switch (command.cmd) {
    case 'start':
      simulator.start();
      return { event: 'started' };
    case 'pause':
      simulator.pause();
      return { event: 'paused' };
    case 'stopTraffic':
      return { event: 'drained', ...(await simulator.stopTraffic()) };
    case 'rejoin':
      return executeOnMote(simulator, command);
    case 'status':
      return { event: 'status', ...simulator.status() };
    case 'quit':
      return { event: 'quit' };
  }
}
