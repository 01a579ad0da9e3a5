import { AntirioError } from '@antirio/kernel';

/** What may name an instance: it becomes a folder, a container's name and the first part of names in the core services. */
export const serviceIdPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** @throws AntirioError invalidInput */
export function checkId(id: string): void {
  if (!serviceIdPattern.test(id))
    throw new AntirioError('invalidInput', 'a service id has 1 to 128 letters, digits, _ and -', { id });
}
