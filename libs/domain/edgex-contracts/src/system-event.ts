import { z } from 'zod';
import { API_VERSION } from './base.ts';

export type SystemEventType = 'device' | 'deviceprofile' | 'deviceservice' | 'provisionwatcher';
export type SystemEventAction = 'add' | 'update' | 'delete';

/** What core-metadata tells everyone about a change; the payload of an envelope on `systemEventTopic`. */
export interface SystemEvent {
  readonly type: SystemEventType;
  readonly action: SystemEventAction;
  readonly source: string;
  /** The device service concerned; core-metadata itself for profiles. */
  readonly owner: string;
  readonly details: unknown;
  /** Nanoseconds since the Unix epoch. */
  readonly timestamp: bigint;
}

export function systemEventToJson(event: SystemEvent): Record<string, unknown> {
  return { apiVersion: API_VERSION, ...event };
}

/** What a reader of system events may rely on. */
export const systemEventSchema = z.object({
  type: z.string(),
  action: z.enum(['add', 'update', 'delete']),
  owner: z.string(),
  details: z.unknown().optional(),
});
