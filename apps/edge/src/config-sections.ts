import type { RunnableRoom } from './loaders.ts';
import type { Section } from './option-schema.ts';

const FILLED_IN = ['dataDir', 'bind', 'role', 'central', 'neighbours', 'edgeId'];

/** The sections that these rooms have in a configuration. */
export function sectionsOf(rooms: readonly RunnableRoom[]): Promise<Section[]> {
  return Promise.all(
    rooms.map(async (room) => {
      const { schema } = await room.load();
      return { key: room.key, title: room.name, schema, hidden: FILLED_IN };
    }),
  );
}
