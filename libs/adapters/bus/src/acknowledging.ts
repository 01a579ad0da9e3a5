import { Aedes, type AedesOptions, type Client, type PublishPacket } from 'aedes';
import { AntirioError } from '@antirio/kernel';

type Done = (error?: Error) => void;
type Authorize = NonNullable<AedesOptions['authorizePublish']>;

/** How aedes itself calls `publish`: with the client that published, or nobody. */
type Publish = (packet: PublishPacket, client: Client | null, done: Done) => void;

/**
 * Aedes, but a PUBACK says that the subscribers of this process are through with the message. By itself aedes acknowledges QoS 1 first
 * and passes the message on afterwards; so it is passed on while aedes waits to hear whether the client may publish at all, and is not
 * passed on again. What a subscriber refuses is not acknowledged: MQTT 3.1.1 knows no refusal, so that the connection ends.
 */
export class AcknowledgingAedes extends Aedes {
  /** Publications of clients that were passed on before their acknowledgement. */
  readonly #passedOn = new WeakSet<PublishPacket>();
  /** By payload: aedes copies packets, not payloads. */
  readonly #refused = new WeakSet<object>();

  /** @param access Says whether a client may publish a message. */
  constructor({ access, ...options }: AedesOptions & { readonly access: Authorize }) {
    super({
      ...options,
      authorizePublish: (client, packet, done) => {
        access(client, packet, (error) => {
          if (error || client === null || packet.qos !== 1) done(error);
          else this.#passOn(packet, client, done);
        });
      },
    });
  }

  override publish(packet: PublishPacket, done?: Done): void;
  override publish(packet: PublishPacket, client: Client | null, done?: Done): void;
  override publish(packet: PublishPacket, clientOrDone: Client | null | Done = null, done?: Done): void {
    const client = typeof clientOrDone === 'function' ? null : clientOrDone;
    const tell = (typeof clientOrDone === 'function' ? clientOrDone : done) ?? (() => undefined);
    if (this.#passedOn.delete(packet)) tell();
    else if (packet.qos === 0) this.#publish(packet, client, tell);
    else this.#publish(packet, client, (error) => tell(error ?? this.#refusal(packet)));
  }

  /** A subscriber could not take the message with this payload. */
  refuse(payload: object): void {
    this.#refused.add(payload);
  }

  #publish(...given: Parameters<Publish>): void {
    (super.publish as unknown as Publish).apply(this, given);
  }

  #passOn(packet: PublishPacket, client: Client, done: Done): void {
    this.publish(packet, client, (error) => {
      if (!error) this.#passedOn.add(packet);
      done(error);
    });
  }

  #refusal({ payload, topic }: PublishPacket): Error | undefined {
    if (typeof payload !== 'object' || !this.#refused.delete(payload)) return undefined;
    return new AntirioError('unavailable', 'a subscriber could not take the message', { topic });
  }
}
