import { utf8 } from '@antirio/kernel';
import { summariseDevices, type GenuineFrame, type HandbackStatement } from '@antirio/service-contract';
import { counterOf, type Frame, type Session, type Verifies } from './frames.ts';

/** The frames that the sessions' keys verify, in the order of their arrival. */
function genuine(frames: readonly Frame[], sessions: readonly Session[], isRight: Verifies): GenuineFrame[] {
  const highest = new Map<string, number>();
  return frames.flatMap((frame) => {
    for (const session of sessions) {
      if (session.devAddr !== frame.devAddr) continue;
      const { devEui, devAddr, fingerprint } = session;
      const fcnt = counterOf(frame, session, highest.get(devEui), isRight);
      if (fcnt === undefined) continue;
      highest.set(devEui, Math.max(fcnt, highest.get(devEui) ?? 0));
      return [{ devEui, devAddr, session: fingerprint, fcnt, phyPayload: utf8(frame.bytes) }];
    }
    return [];
  });
}

export function statementOver(
  frames: readonly Frame[],
  sessions: readonly Session[],
  isRight: Verifies,
  range: Pick<HandbackStatement, 'contractId' | 'epoch' | 'from' | 'through'>,
): HandbackStatement {
  return { ...range, devices: summariseDevices(genuine(frames, sessions, isRight)) };
}
