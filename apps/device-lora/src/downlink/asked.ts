import { z } from 'zod';
import { fromHex, fromUtf8, isAntirioError, describeError } from '@antirio/kernel';
import { parseInput, type Bus, type BusHandler, type Log, type Subscription } from '@antirio/host';
import { parseDevEui, parseSessionId } from '@antirio/lorawan';
import { directoryOf } from '../directory.ts';
import type { DeviceOptions } from '../options.ts';
import { describeDownlink } from './describe.ts';
import type { Naming } from './naming.ts';
import { encryptedSchema } from './payload.ts';
import type { Downlink } from './store.ts';

const devEui = z.string().regex(/^[0-9a-f]{16}$/);
const head = { requestId: z.string().min(1).max(64), devEui };
/** Of whoever has the AppSKey, by the arbitrator of the edge that this service runs on. */
const asked = z.discriminatedUnion('want', [
  /** `key`: by which the same counter can be asked for again. */
  z.object({ ...head, want: z.literal('counter'), key: z.string().min(1).max(64).optional() }),
  z.object({ ...head, want: z.literal('queue'), downlink: encryptedSchema }),
  z.object({
    ...head,
    want: z.literal('state'),
    session: encryptedSchema.shape.session,
    fCntDown: encryptedSchema.shape.fCntDown,
  }),
]);
/** A counter is waited for, 2 s where none is granted: no other device's questions wait behind it. */
const AT_ONCE = 16;
type Asked = z.output<typeof asked>;

export interface DownlinksAskedPorts {
  readonly bus: Bus;
  readonly prefix: string;
  readonly log: Log;
  readonly devices: readonly DeviceOptions[];
  readonly naming: Naming;
  readonly waitOf: (device: DeviceOptions, downlink: Downlink) => string | undefined;
  /** @throws AntirioError where the service may not send now. */
  readonly checkMaySend: (device: DeviceOptions, isEncrypted: boolean) => void;
}

/** A service that stands in for a device's own edge takes what whoever has the AppSKey encrypts, by the arbitrator of its edge. */
export async function openDownlinksAsked(ports: DownlinksAskedPorts): Promise<Subscription> {
  const { bus, prefix, log, naming, waitOf, checkMaySend } = ports;
  const { byEui } = directoryOf(ports.devices);
  const show = (device: DeviceOptions, one: Downlink | undefined): object =>
    one === undefined ? {} : { downlink: describeDownlink(one, waitOf(device, one)) };
  const answer = async (device: DeviceOptions, question: Asked): Promise<object> => {
    if (question.want === 'state') {
      const { session, fCntDown } = question;
      return show(device, naming.find(device, parseSessionId(session), fCntDown));
    }
    checkMaySend(device, true);
    // the arbitrator asks for a contract that is active here only
    if (question.want === 'counter') return { counter: await naming.name(device, question.key, true) };
    const { session, payload, ...rest } = question.downlink;
    const downlink = { ...rest, session: parseSessionId(session), payload: fromHex(payload) };
    return show(device, naming.queue(device, downlink));
  };
  const answerTo = async (question: Asked): Promise<object> => {
    const device = byEui.get(parseDevEui(question.devEui));
    if (device === undefined)
      return { error: { code: 'notFound', message: `no device ${question.devEui} here` } };
    try {
      return await answer(device, question);
    } catch (error) {
      const code = isAntirioError(error) ? error.code : 'internal';
      if (code === 'internal')
        log.error({ device: device.name, error: describeError(error) }, 'a downlink failed');
      return { error: { code, message: describeError(error) } };
    }
  };
  const onAsked: BusHandler = async (_topic, payload) => {
    try {
      const question = parseInput(asked, JSON.parse(fromUtf8(payload)));
      const told = { requestId: question.requestId, ...(await answerTo(question)) };
      await bus.publish(`${prefix}antirio/downlink/told`, JSON.stringify(told));
    } catch (error) {
      log.warn({ error: describeError(error) }, 'a question about a downlink is not answered');
    }
  };
  return bus.subscribe(`${prefix}antirio/downlink/asked`, onAsked, { concurrency: AT_ONCE });
}
