import { configReference } from '../config-reference.ts';
import { sectionsOf } from '../config-sections.ts';
import { commonConfig } from '../config.ts';
import { allRooms } from '../loaders.ts';

/** Prints what docs/configuration.md holds. */
export async function printConfigReference(): Promise<void> {
  process.stdout.write(configReference(commonConfig, await sectionsOf(allRooms())));
}
