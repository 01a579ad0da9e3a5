import { z } from 'zod';
import { AntirioError, uuidV4, type Random } from '@antirio/kernel';
import type { BusHandler } from '@antirio/host';
import type { MessageEnvelope } from '@antirio/edgex-contracts';
import { answering, type Answer } from './bus-answers.ts';
import { answerOf } from './event-answer.ts';
import type { Commands } from './commands.ts';
import { queryOfEnvelope } from './query.ts';

type Ports = Parameters<typeof answering>[0] & {
  readonly commands: Commands;
  readonly random: Random;
  /** Commands for one device that are under way at once: those of a device that hangs do not keep others waiting. */
  readonly maxPerDevice: number;
};

const settings = z.record(z.string(), z.unknown());

function unescaped(level: string): string {
  try {
    return decodeURIComponent(level);
  } catch {
    return level;
  }
}

/** Answers `edgex/device/command/request/<service>/<device>/<command>/<get|set>`. */
export function answerCommands(ports: Ports): BusHandler {
  const { commands, maxPerDevice, random } = ports;
  const underWay = new Map<string, number>();
  const bounded = async (device: string, work: () => Promise<Answer>): Promise<Answer> => {
    const count = underWay.get(device) ?? 0;
    if (count >= maxPerDevice)
      throw new AntirioError('busy', `${count} commands for ${device} are under way already`);
    underWay.set(device, count + 1);
    try {
      return await work();
    } finally {
      const left = (underWay.get(device) ?? 1) - 1;
      if (left === 0) underWay.delete(device);
      else underWay.set(device, left);
    }
  };
  const get = async (device: string, command: string, request: MessageEnvelope): Promise<Answer> => {
    const query = queryOfEnvelope(request.queryParams);
    const event = await commands.get(device, command, query);
    const correlationID = request.correlationID === '' ? uuidV4(random) : request.correlationID;
    if (query.pushEvent) commands.push(event, correlationID);
    if (!query.returnEvent) return { payload: null };
    return answerOf(event, request.requestID);
  };
  const set = async (device: string, command: string, request: MessageEnvelope): Promise<Answer> => {
    const parsed = settings.safeParse(request.payload ?? {});
    if (!parsed.success) throw new AntirioError('invalidInput', 'the payload is no object of settings');
    const { rawQuery } = queryOfEnvelope(request.queryParams);
    const event = await commands.set(device, command, parsed.data, rawQuery);
    const correlationID = request.correlationID === '' ? uuidV4(random) : request.correlationID;
    if (event !== undefined) commands.push(event, correlationID);
    return { payload: null };
  };
  return answering(ports, async (request, topic) => {
    const [device = '', command = '', method = ''] = topic.split('/').slice(-3).map(unescaped);
    if (method.toLowerCase() === 'get') return bounded(device, () => get(device, command, request));
    if (method.toLowerCase() === 'set') return bounded(device, () => set(device, command, request));
    throw new AntirioError(
      'invalidInput',
      `unknown command method '${method}', only 'get' or 'set' is allowed`,
    );
  });
}
