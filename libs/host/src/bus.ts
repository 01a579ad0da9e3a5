import type { Check } from './service.ts';

export interface PublishOptions {
  /** 1: resolves when the broker (and, embedded, every subscriber in this process) has taken the message. */
  readonly qos?: 0 | 1;
  readonly retain?: boolean;
}

export interface SubscribeOptions {
  /** Handlers under way at once (default 1). They are called in the order of the messages and may end in another one. */
  readonly concurrency?: number;
  /** Messages that wait for their handler; beyond them those who publish wait (default 1024). */
  readonly maxMessages?: number;
  /** Bytes of the messages that wait or are handled (default 8 MiB). */
  readonly maxBytes?: number;
  /**
   * Where the broker is in this process: a handler that fails refuses the message, so that its publisher with QoS 1 or 2 gets an error
   * in place of the acknowledgement (MQTT 3.1.1: a closed connection). By default a failure is the subscriber's own matter.
   * What was taken when the subscription is closed is handled first, for 5 s at most; otherwise it is forgotten and logged.
   */
  readonly required?: boolean;
  /** The broker was away and is there again: what was published meanwhile did not come, and what is published in the next moment may not. */
  readonly onBack?: () => void;
}

export interface Subscription {
  close(): Promise<void>;
}

export type BusHandler = (topic: string, payload: Uint8Array) => void | Promise<void>;

/** The message bus as every room sees it: MQTT 3.1.1 topics and filters, whichever broker is behind it. */
export interface Bus {
  /** The broker is in this process: it acknowledges what is published with QoS 1 when `required` subscribers are through with it. */
  readonly acknowledgesTaken?: boolean;
  publish(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<void>;
  /** Messages are begun in order, by default one after the other; a handler that fails is logged and counted. */
  subscribe(filter: string, handler: BusHandler, options?: SubscribeOptions): Promise<Subscription>;
  health(): Check;
  close(): Promise<void>;
}
