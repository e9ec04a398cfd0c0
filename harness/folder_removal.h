/* folder_removal.h - a folder of this program's own gone, with all that is in it. */
#ifndef CIUIC_FOLDER_REMOVAL_H
#define CIUIC_FOLDER_REMOVAL_H

/* Removes what is at `path`, links not followed; as far as that goes: what cannot be removed stays. */
void folder_remove(const char *path);

#endif
