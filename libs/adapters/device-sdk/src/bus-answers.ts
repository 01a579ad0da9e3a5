import { describeError } from '@antirio/kernel';
import { withCorrelation, type Bus, type BusHandler, type Log } from '@antirio/host';
import {
  errorEnvelope,
  makeEnvelope,
  parseEnvelope,
  responseTopic,
  type EnvelopeFields,
  type MessageEnvelope,
} from '@antirio/edgex-contracts';

export interface Answer {
  readonly payload: unknown;
  readonly contentType?: string;
}

interface Ports {
  readonly bus: Bus;
  readonly log: Log;
  readonly serviceName: string;
}

/** Answers requests of the bus: with what `work` gives, or with the text of its failure. A request without an id has nowhere to be answered. */
export function answering(
  { bus, log, serviceName }: Ports,
  work: (request: MessageEnvelope, topic: string) => Promise<Answer>,
): BusHandler {
  return async (topic, bytes) => {
    let request: MessageEnvelope;
    try {
      request = parseEnvelope(bytes);
    } catch (error) {
      log.warn({ topic, error: describeError(error) }, 'a request was refused');
      return;
    }
    const { correlationID, requestID } = request;
    const fields: EnvelopeFields = { correlationID, requestID };
    const answer = await withCorrelation(correlationID, () => work(request, topic)).then(
      ({ payload, contentType }) =>
        makeEnvelope(payload, { ...fields, ...(contentType === undefined ? {} : { contentType }) }),
      (error: unknown) => errorEnvelope(describeError(error), fields),
    );
    if (requestID !== '') await bus.publish(responseTopic(serviceName, requestID), answer);
  };
}
