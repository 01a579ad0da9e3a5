import type { LookupFunction } from 'node:net';
import { createMqttSender } from '@antirio/bus';
import { httpPeer } from '@antirio/host';
import { AntirioError, toBase64, utf8, type Random } from '@antirio/kernel';
import { resolverFor } from './destinations.ts';
import type { ForwardingLogin, ForwardingRule } from './rules.ts';

/** An event on its way out. */
export interface Outgoing {
  /** The event's id, by which the receiver knows it again. */
  readonly id: string;
  readonly device: string;
  /** JSON of an AddEventRequest. */
  readonly body: string;
}

/** Where events go. One attempt each. */
export interface Sink {
  /**
   * Resolves when the receiver has it.
   * @throws AntirioError forbidden: it does not take this login (any more); invalidInput: it will never take this event; else it may later
   */
  send(event: Outgoing): Promise<void>;
  close(): Promise<void>;
}

const IDEMPOTENCY_KEY = 'Idempotency-Key';
const TIMEOUT_MS = 10_000;
/** Answers of the 4xx that may be others the next time. */
const PASSING: ReadonlySet<number> = new Set([404, 408, 421, 425, 429]);
const CONFLICT = 409;

function judge(status: number, name: string): void {
  // a receiver that knows the id already has it
  if ((status >= 200 && status < 300) || status === CONFLICT) return;
  if (status === 401 || status === 403)
    throw new AntirioError('forbidden', `${name} refuses the login`, { status });
  const lasting = status >= 400 && status < 500 && !PASSING.has(status);
  throw new AntirioError(lasting ? 'invalidInput' : 'unavailable', `${name} answered ${status}`, { status });
}

function httpSink(url: string, login: ForwardingLogin | undefined, lookup: LookupFunction | undefined): Sink {
  const { origin, pathname, search } = new URL(url);
  // redirects are not followed: they are answers like others
  const peer = httpPeer({ url: origin, lookup });
  const authorization: Record<string, string> =
    login === undefined
      ? {}
      : { authorization: `Basic ${toBase64(utf8(`${login.username}:${login.password}`))}` };
  return {
    async send({ id, body }) {
      const headers = { 'content-type': 'application/json', [IDEMPOTENCY_KEY]: id, ...authorization };
      const call = { method: 'POST', path: pathname + search, headers, timeoutMs: TIMEOUT_MS } as const;
      const { status } = await peer.call({ ...call, body: utf8(body), maxAnswerBytes: 1 << 20 });
      judge(status, origin);
    },
    close() {
      peer.close();
      return Promise.resolve();
    },
  };
}

/** A device's name as one level of a topic. */
const levelOf = (device: string): string => device.replace(/[/+#\0]/g, encodeURIComponent);

/**
 * `hosts`: those that may be reached besides public ones; undefined: all.
 * @throws AntirioError unavailable where the rule's host is none of them
 */
export function openSink(
  rule: ForwardingRule,
  login: ForwardingLogin | undefined,
  { random, hosts }: { readonly random: Random; readonly hosts: readonly string[] | undefined },
): Sink {
  const lookup = resolverFor(rule.url, hosts);
  if (rule.kind === 'http') return httpSink(rule.url, login, lookup);
  const sender = createMqttSender({ url: rule.url, lookup, ...login }, random);
  return {
    send: ({ id, device, body }) =>
      sender.send({
        topic: `${rule.topic}/${levelOf(device)}`,
        payload: body,
        properties: { [IDEMPOTENCY_KEY]: id },
      }),
    close: () => sender.close(),
  };
}
