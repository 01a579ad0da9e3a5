import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';

/** Further images of a contract: services that its own one needs beside it, as `services` of its configuration.json. */

const text = z.string().min(1).max(256);
const serviceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,23}$/, 'up to 24 small letters, digits and dashes');
const variable = z
  .string()
  .regex(/^(?!ANTIRIO_)[A-Z][A-Z0-9_]{0,63}$/, 'a variable of capitals, not beginning with ANTIRIO_');
const MOST = 8;
const MOST_VARIABLES = 32;

export const companion = z.strictObject({
  imageName: text,
  imageCid: text,
  /** Names of other services of the contract that are to be ready first. */
  depends_on: z.array(serviceName).max(MOST).default([]),
  env: z
    .record(variable, z.string().max(1024))
    .refine((env) => Object.keys(env).length <= MOST_VARIABLES, `at most ${MOST_VARIABLES} variables`)
    .default({}),
  /** `socket`: it listens on `<links>/<its name>.sock`. `started`: it runs. */
  ready: z.enum(['socket', 'started']).default('socket'),
  readyWithinMs: z.int().min(100).max(600_000).default(10_000),
  /** `name:/folder`: volumes of the contract, as Docker compose has them. */
  volumes: z.array(z.string().max(256)).max(MOST).default([]),
});
export type Companion = z.output<typeof companion>;
export type Companions = Readonly<Record<string, Companion>>;

function orderProblem(services: Companions): string | undefined {
  try {
    startOrder(services);
    return undefined;
  } catch (error) {
    if (error instanceof AntirioError) return error.message;
    throw error;
  }
}

export const companions = z
  .record(serviceName, companion)
  .refine((services) => Object.keys(services).length <= MOST, `at most ${MOST} services beside its own`)
  .superRefine((services, context) => {
    const message = orderProblem(services);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/**
 * The names, each after all that it depends on; of those that are free to start the first by name comes first. Stopping goes the other way.
 * @throws AntirioError invalidInput naming a service that is not there, or a circle.
 */
export function startOrder(services: Companions): string[] {
  const order: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (order.includes(name)) return;
    if (path.includes(name))
      throw new AntirioError('invalidInput', `services depend on each other: ${[...path, name].join(' > ')}`);
    // `constructor` and the like are found on every object
    const service = Object.hasOwn(services, name) ? services[name] : undefined;
    if (service === undefined)
      throw new AntirioError(
        'invalidInput',
        `${path.at(-1) ?? ''} depends on ${name}, which is no service here`,
      );
    for (const other of service.depends_on.toSorted()) visit(other, [...path, name]);
    order.push(name);
  };
  for (const name of Object.keys(services).toSorted()) visit(name, []);
  return order;
}

const withServices = z.looseObject({ services: companions.optional() });

/** Those of a configuration.json, or of what is kept of it. @throws AntirioError invalidInput */
export function companionsIn(configuration: unknown): Companions {
  const parsed = withServices.safeParse(configuration ?? {});
  if (parsed.success) return parsed.data.services ?? {};
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new AntirioError('invalidInput', `configuration.json: ${wrong.join('; ')}`);
}
