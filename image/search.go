package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/registry"
)

// Search asks Docker Hub, or the registry that the term begins with, for repositories. A registry without Docker Hub's interface is
// asked for its catalogue, and so are the mirrors where Docker Hub cannot be reached: of what they list, the names that hold the term.
func (s *Store) Search(ctx context.Context, term string, limit int) ([]registry.SearchResult, error) {
	config, err := readSettings()
	if err != nil {
		return nil, err
	}
	if strings.Contains(term, "://") {
		return nil, fmt.Errorf("invalid repository name: repository name (%s) should not have a scheme", term)
	}
	if limit < 1 {
		limit = 25
	}
	if limit > 100 {
		return nil, fmt.Errorf("limit %d is outside the range of [1, 100]", limit)
	}
	host, name, ok := strings.Cut(term, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, name = hubIndex, strings.TrimPrefix(term, "library/")
	}
	if host == hub {
		host, name = hubIndex, strings.TrimPrefix(name, "library/")
	}
	all, err := s.searchIndex(ctx, host, name, limit, config)
	var away *Unreachable
	switch {
	case errors.Is(err, errNoIndex):
		all, err = s.searchCatalogue(ctx, direct(host, config), name, limit)
	case errors.As(err, &away) && host == hubIndex:
		for _, m := range config.Mirrors {
			if u, bad := url.Parse(m); bad == nil && err != nil {
				e := endpoint{schemes: []string{u.Scheme}, host: u.Host, prefix: strings.TrimSuffix(u.Path, "/"), mirror: true, lax: config.insecure(u.Host)}
				if listed, failed := s.searchCatalogue(ctx, e, name, limit); failed == nil {
					all, err = listed, nil
				}
			}
		}
	}
	return all, err
}

// errNoIndex is for registries that do not have Docker Hub's interface for searches.
var errNoIndex = errors.New("no index")

// searchIndex asks as Docker Hub wants to be asked.
func (s *Store) searchIndex(ctx context.Context, host, name string, limit int, config settings) ([]registry.SearchResult, error) {
	e := direct(host, config)
	e.host = host // the index, not the registry
	auth, err := credentials(host)
	if err != nil {
		return nil, err
	}
	base, err := e.transport(s.patience)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &patient{base, s.pause}}
	defer client.CloseIdleConnections()
	for i, scheme := range e.schemes {
		at := scheme + "://" + host + "/v1/search?" + "q=" + url.QueryEscape(name) + "&n=" + fmt.Sprint(limit)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "glassbox")
		if auth.Username != "" && auth.Password != "" {
			req.SetBasicAuth(auth.Username, auth.Password)
		}
		resp, err := client.Do(req)
		if err != nil && ctx.Err() == nil && i < len(e.schemes)-1 {
			continue
		}
		if err != nil {
			return nil, &Unreachable{Host: host, Err: err}
		}
		defer resp.Body.Close()
		return found(resp, host)
	}
	return nil, errNoIndex
}

// found reads an index's answer.
func found(resp *http.Response, host string) ([]registry.SearchResult, error) {
	if resp.StatusCode != http.StatusOK {
		if host != hubIndex {
			return nil, errNoIndex
		}
		return nil, fmt.Errorf("Unexpected status code %d", resp.StatusCode)
	}
	var answer registry.SearchResults
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDocument)).Decode(&answer); err != nil {
		if host != hubIndex {
			return nil, errNoIndex
		}
		return nil, fmt.Errorf("error decoding registry search results: %w", err)
	}
	return answer.Results, nil
}

// searchCatalogue goes through all that a registry lists.
func (s *Store) searchCatalogue(ctx context.Context, e endpoint, name string, limit int) (all []registry.SearchResult, err error) {
	auth, err := credentials(e.host)
	if err != nil {
		return nil, err
	}
	a, root, err := e.reach(ctx, s.patience, func() *agent { return &agent{auth: auth, scopes: []string{"registry:catalog:*"}} })
	if err != nil {
		return nil, err
	}
	r := &repository{client: &http.Client{Transport: a}, patience: s.patience}
	defer r.close()
	at := root + "_catalog?n=1000"
	for pages := 0; at != "" && pages < maxPages; pages++ {
		var page struct{ Repositories []string }
		if at, err = r.page(ctx, at, &page); err != nil {
			return nil, pushError(err)
		}
		for _, n := range page.Repositories {
			if strings.Contains(n, name) {
				all = append(all, registry.SearchResult{Name: catalogued(n, e), IsOfficial: e.mirror && strings.HasPrefix(n, "library/")})
			}
		}
	}
	slices.SortFunc(all, func(a, b registry.SearchResult) int { return strings.Compare(a.Name, b.Name) })
	return all[:min(len(all), limit)], nil
}

// catalogued is the name by which one would pull what a catalogue lists.
func catalogued(name string, e endpoint) string {
	if e.mirror {
		return strings.TrimPrefix(name, "library/")
	}
	return e.host + "/" + name
}
