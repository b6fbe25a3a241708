/** Looks at the data file before the driver does: what is no store of its kind would end the process there, not fail. */

import { open } from 'node:fs/promises'

const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
/** Places in a meta page, in the order of this machine's bytes: all that Node runs on have the low one first. */
const AT = { magic: 24, version: 28, pageSize: 48, freeRoot: 88, mainRoot: 136, transaction: 152 } as const
const META_BYTES = 160
const NO_PAGE = 0xffff_ffff_ffff_ffffn

/** Throws a sentence about a file that is not empty and cannot be opened. One that is missing or empty is made anew. */
export async function checkDataFile(path: string): Promise<void> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return
  try {
    const { size } = await file.stat()
    if (size === 0) return
    const metaAt = async (place: number): Promise<Buffer> => {
      const meta = Buffer.alloc(META_BYTES)
      await file.read(meta, 0, META_BYTES, place)
      if (meta.readUInt32LE(AT.magic) !== MAGIC) throw new Error('data.mdb is not a file of the store')
      if ((meta.readUInt32LE(AT.version) & 0xffff) !== DATA_VERSION) {
        throw new Error('data.mdb is of another version of the database')
      }
      return meta
    }
    const first = await metaAt(0)
    const pageSize = first.readUInt32LE(AT.pageSize)
    const second = await metaAt(pageSize)
    const newest = first.readBigUInt64LE(AT.transaction) > second.readBigUInt64LE(AT.transaction) ? first : second
    for (const place of [AT.freeRoot, AT.mainRoot]) {
      const page = newest.readBigUInt64LE(place)
      if (page !== NO_PAGE && (page + 1n) * BigInt(pageSize) > BigInt(size)) {
        throw new Error('data.mdb was cut off: its end is missing')
      }
    }
  } finally {
    await file.close()
  }
}
