package engine

// limit gives a directory of the volume its project id.
func (v *Volumes) limit(r *volumeRecord, dir string) error { return nil }
