import type { Check } from './service.ts';

export interface PublishOptions {
  /** 1: resolves when the broker (and, embedded, every subscriber in this process) has taken the message. */
  readonly qos?: 0 | 1;
  readonly retain?: boolean;
}

export interface Subscription {
  close(): Promise<void>;
}

export type BusHandler = (topic: string, payload: Uint8Array) => void | Promise<void>;

/** The message bus as every room sees it: MQTT 3.1.1 topics and filters, whichever broker is behind it. */
export interface Bus {
  publish(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<void>;
  /** Messages are handled one after the other for each subscription; a handler that fails is logged and counted. */
  subscribe(filter: string, handler: BusHandler): Promise<Subscription>;
  health(): Check;
  close(): Promise<void>;
}
