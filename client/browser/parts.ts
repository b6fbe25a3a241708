/** Parts that are loaded when a program asks for them, so that others do without their code. The script has them within. */

export const loadStorage = () => import('./storage.ts')
export const loadTabs = () => import('./tabs/tabs.ts')
