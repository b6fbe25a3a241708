import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CONFIG_FILE } from '../../cli/configFile.ts'
import { checkConfigFile } from '../../server/options/file.ts'
import { groupedFields, hubFields, serveFields } from '../../server/options/hub.ts'
import { tempFolder } from '../support/temp.ts'

describe('the file to begin with', () => {
  it('is right as it is, and with each option in force', async () => {
    const options = CONFIG_FILE.replace(/^# ( *(?:[a-zA-Z]+|"\*"):(?: |$)| *- name:)/gm, '$1').replace(
      /^store:/m,
      '# store:',
    )
    for (const content of [CONFIG_FILE, options]) {
      const cwd = await tempFolder()
      await writeFile(join(cwd, 'reprise.yaml'), content)
      // What it names as an example is not there.
      const faults = checkConfigFile('reprise.yaml', cwd).filter((fault) => !fault.includes('there is no such'))
      expect(faults).toEqual([])
    }
    const named = [...options.matchAll(/^([a-zA-Z]+):/gm)].map(([, option]) => option)
    const known = Object.keys({ ...hubFields, ...serveFields, ...groupedFields, data: true, tls: true })
    expect([...named, 'store'].sort()).toEqual(known.filter((option) => !/^tls./.test(option)).sort())
  })
})
