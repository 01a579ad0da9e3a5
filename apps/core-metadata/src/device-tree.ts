import type { Database } from '@antirio/host';

/** An entity's name and its JSON text. */
export interface Row {
  readonly name: string;
  readonly doc: string;
}

export interface TreeQuery {
  readonly descendantsOf: string;
  /** 0: all levels. */
  readonly maxLevels: number;
  /** A device without all of these is left out, and what is below it too, as EdgeX does. */
  readonly labels: readonly string[];
}

export interface DeviceTree {
  /** The children of a device, then what is below each of them. */
  below(query: TreeQuery): Row[];
  hasChildren(device: string): boolean;
}

export function createDeviceTree(db: Database): DeviceTree {
  const children = db.prepare(
    // The plus keeps the planner from going through all devices in their order, for each parent.
    "SELECT name, doc FROM entity WHERE parent = ? AND +kind = 'device' ORDER BY seq",
  );
  const anyChild = db.prepare("SELECT 1 FROM entity WHERE parent = ? AND +kind = 'device' LIMIT 1");

  const childrenOf = (parent: string, labels: readonly string[]): Row[] => {
    const rows = children.all(parent) as unknown as Row[];
    if (labels.length === 0) return rows;
    return rows.filter(({ doc }) => {
      const has = (JSON.parse(doc) as { labels?: string[] }).labels ?? [];
      return labels.every((label) => has.includes(label));
    });
  };
  return {
    below({ descendantsOf, maxLevels, labels }) {
      const found: Row[] = [];
      // A stack, and each device once: a tree may be deep, and one that was made with parents in a circle has no end.
      const seen = new Set<string>();
      const open = [{ parent: descendantsOf, level: 1 }];
      for (let next = open.pop(); next !== undefined; next = open.pop()) {
        const { parent, level } = next;
        const rows = childrenOf(parent, labels).filter(({ name }) => !seen.has(name));
        for (const row of rows) {
          seen.add(row.name);
          found.push(row);
        }
        if (maxLevels > 0 && level >= maxLevels) continue;
        open.push(...rows.map(({ name }) => ({ parent: name, level: level + 1 })).reverse());
      }
      return found;
    },
    hasChildren: (device) => anyChild.get(device) !== undefined,
  };
}
